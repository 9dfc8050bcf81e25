// Text that others have a say in, for a terminal: its controls are written as JSON writes them, so that none moves the cursor or is obeyed.
// Always holds: JSON and YAML mean what they meant, since the only controls that they leave as they are stand in quoted texts.
// Used by screen and failure.

/** All but the end of a line and the tab. */
const controls = /[^\P{Cc}\n\t]/gu

export const visible = (text: string): string =>
  text.replace(controls, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`)
