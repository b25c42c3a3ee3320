/** Plain pages: times in the reader's own zone and manner. */

const here = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "short",
});

export function localTimes(within = document) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    time.textContent = here.format(new Date(time.dateTime));
  }
}

localTimes();
