// Makes text from elsewhere safe for a terminal: control characters are written as JSON escapes, so that the terminal obeys none of them.
// Invariant: JSON and YAML keep their meaning, because the control characters that they leave unescaped are inside quoted strings.
// Used by screen, failure, answer and log-text.
import { unicodeEscape } from "../../core/text/unicode-escape.ts"

/** All control characters but line feed and tab. */
const controls = /[^\P{Cc}\n\t]/gu
/** What has a terminal show the text after it in another order. YAML may have it outside of a quoted string. */
const orders = /[\u202a-\u202e\u2066-\u2069]/gu

/** Escapes what changes the order of the text. */
export const inOrder = (text: string): string => text.replace(orders, unicodeEscape)

export const visible = (text: string): string => text.replace(controls, unicodeEscape)

/** The same of text that no program reads, in which nothing changes the order either. */
export const visibleInOrder = (text: string): string => inOrder(visible(text))
