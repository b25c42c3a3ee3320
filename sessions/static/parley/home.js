/** The start page: times in the reader's own zone and manner. */

const here = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "short",
});

for (const time of document.querySelectorAll("time[datetime]")) {
  time.textContent = here.format(new Date(time.dateTime));
}
