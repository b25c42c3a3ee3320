/** Who is shown as whom: names that were given, and people who are one. Pure. */

export class Aliases {
  constructor() {
    this.into = new Map();
    this.names = new Map();
  }

  rename({ participant, name }) {
    this.names.set(participant, name);
  }

  merge({ participant, into, name }) {
    this.into.set(participant, into);
    this.names.set(into, name);
  }

  /** An event of somebody, as of whom they are shown as. */
  shown(event) {
    if (!event.participant) return event;
    const participant = this.into.get(event.participant) ?? event.participant;
    const name = this.names.get(participant) ?? event.name;
    return { ...event, participant, name };
  }
}
