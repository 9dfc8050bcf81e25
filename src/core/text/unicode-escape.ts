// A character as JSON and HCL escape it.
// Used by core/text/hcl, core/text/secret-forms, core/text/yaml-json and cli/terminal/visible.

/** Returns `\u` and four digits for the first UTF-16 unit of the text. */
export const unicodeEscape = (text: string): string => `\\u${text.charCodeAt(0).toString(16).padStart(4, "0")}`
