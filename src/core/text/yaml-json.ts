// JSON as a parser of YAML 1.1 reads it, which Kubernetes' tools have.
// Used by core/manifest/installation/config-map and cli/terminal/manifest-yaml.
import { unicodeEscape } from "./unicode-escape.ts"

/** Characters that JSON has as they are, and such a parser refuses, leaves out, or takes for the end of a line. */
export const unreadable = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/gu

export const yamlJson = (data: unknown): string => JSON.stringify(data).replace(unreadable, unicodeEscape)
