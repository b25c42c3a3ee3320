/** Elements made in one line. */

/** An element with a class and text. */
export function made(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** A button that does something. */
export function button(text, className, onClick) {
  const element = made("button", className, text);
  element.type = "button";
  element.addEventListener("click", onClick);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A drawing of one path, read out as nothing. */
export function drawing(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** A button with a drawing, and its name for those who hear it. */
export function iconButton(label, path, onClick) {
  const element = button("", "quiet icon", onClick);
  element.setAttribute("aria-label", label);
  element.title = label;
  element.append(drawing(path));
  return element;
}
