// Makes text from elsewhere safe for a terminal: control characters are written as JSON escapes, so that the terminal obeys none of them.
// Invariant: JSON and YAML keep their meaning, because the control characters that they leave unescaped are inside quoted strings.
// Used by screen and failure.

/** All control characters but line feed and tab. */
const controls = /[^\P{Cc}\n\t]/gu

export const visible = (text: string): string =>
  text.replace(controls, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`)
