// Every spelling of a secret in which programs print it: in URLs, JSON, HCL, Go, hexadecimal and base64, broken, and of each of its lines.
// Invariant: none is shorter than the shortest secret that is masked.
// Used by core/text/redact.ts, core/text/secret-parts.ts and worker/stage/variables.ts.
import { Base64, Base64Url, Hex } from "effect/encoding"
import { unicodeEscape } from "./unicode-escape.ts"

/** The shortest secret that is masked, in characters. Shorter values are too common to be taken out. */
export const shortestSecret = 4
/** The shortest line of a longer secret, or text within one, that is masked, in characters. Shorter ones are too often plain words. */
export const shortestPart = 6

const encoder = new TextEncoder()

/** Returns what base64 makes of the bytes after 0, 1 or 2 other bytes: the characters that depend on these bytes alone. */
const base64 = (bytes: Uint8Array, encode: (bytes: Uint8Array) => string): ReadonlyArray<string> =>
  [0, 1, 2].map((shift) => {
    const shifted = new Uint8Array(shift + bytes.length)
    shifted.set(bytes, shift)
    const text = encode(shifted).replaceAll("=", "")
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor((shifted.length * 8) / 6))
  })

/** The signs that stay as they are in a URL, beside letters, digits and "-._", by what writes it. A space that stays becomes a plus. */
const bareSigns = {
  "curl, jq, Python's quote of a part": "~",
  "Python's quote_plus, Go's query": "~ ",
  "Python's quote of a path": "~/",
  "Go's user": "~$&+,;=",
  "Go's part of a path": "~$&+:=@",
  "Go's path": "~$&+,/:;=@",
  "Go's fragment": "~!$&()*+,/:;=?@",
  encodeURI: "~!#$&'()*+,/:;=?@",
  encodeURIComponent: "~!'()*",
  "the password of URL": "~!$%&'()*+,",
  URLSearchParams: "* "
}

const urlEscapes = Object.values(bareSigns).map((signs) => new RegExp(`[^${signs}\\w.-]`, "gu"))

const percent = (sign: string): string =>
  Array.from(encoder.encode(sign), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")

const lowercasePercent = (text: string): string => text.replace(/%[0-9A-F]{2}/gu, (found) => found.toLowerCase())

const inUrls = (text: string): ReadonlyArray<string> =>
  urlEscapes.map((escaped) => text.replace(escaped, percent).replaceAll(" ", "+")).flatMap((url) => [url, lowercasePercent(url)])

const json = (text: string): string => JSON.stringify(text).slice(1, -1)
const jsonForHtml = (text: string): string => json(text).replace(/[<>&\u2028\u2029]/gu, unicodeEscape)
/** JSON as Python writes it, with all but ASCII escaped. */
const jsonInAscii = (text: string): string =>
  json(text).replace(
    /[^\u0000-\u007f]/gu,
    (found) => found.split("").map(unicodeEscape).join("")
  )
const hcl = (text: string): string => json(text).replaceAll("${", "$${").replaceAll("%{", "%%{")

const goEscapes: Readonly<Record<string, string>> = {
  "\u0007": String.raw`\a`,
  "\b": String.raw`\b`,
  "\t": String.raw`\t`,
  "\n": String.raw`\n`,
  "\v": String.raw`\v`,
  "\f": String.raw`\f`,
  "\r": String.raw`\r`
}

const goEscape = (sign: string): string => {
  const code = (sign.codePointAt(0) ?? 0).toString(16)
  const [letter, digits] = sign < "\u0080" ? ["x", 2] : code.length > 4 ? ["U", 8] : ["u", 4]
  return goEscapes[sign] ?? `\\${letter}${code.padStart(digits, "0")}`
}

/** What Go's strconv.Quote makes of text: it escapes all that it does not print. */
const goQuoted = (text: string): string => text.replace(/["\\]/gu, String.raw`\$&`).replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, goEscape)

/** The longest text that is looked for with a break, two lines of 78 columns: a longer one has more breaks, and is masked in pieces. */
const longestBroken = 156

/** How many of its blanks are taken for a break: more would take seconds and memory for many long secrets of short words. */
const mostBreaks = 24

/** Returns the text with each of its blanks in turn as an engine breaks the lines of an error there, in a frame or without one. */
const broken = (text: string): ReadonlyArray<string> =>
  text.length > longestBroken
    ? []
    : [...text.matchAll(/(?<=\S) +(?=\S)/gu)].slice(0, mostBreaks).flatMap(({ 0: blanks, index }) =>
      ["\n│ ", "\n"].map((end) => `${text.slice(0, index)}${end}${text.slice(index + blanks.length)}`)
    )

const lines = (secret: string): ReadonlyArray<string> =>
  secret.includes("\n") ? secret.split(/\r?\n/u).map((line) => line.trim()).filter((line) => line.length >= shortestPart) : []

/** Returns the lines of base64 text as programs print it: of 76 columns, or of 64 as in PEM. */
const wrapped = (text: string): ReadonlyArray<string> => [/.{6,76}/gu, /.{6,64}/gu].flatMap((line) => text.match(line) ?? [])

const spellings = (text: string): ReadonlyArray<string> => {
  const bytes = encoder.encode(text)
  const urls = [...new Set(inUrls(text))]
  const documents = [json(text), jsonInAscii(text), ...[text, ...urls].map(jsonForHtml)]
  return [
    text,
    ...[...new Set([text, goQuoted(text)])].flatMap(broken),
    hcl(text),
    goQuoted(text),
    ...urls,
    ...documents,
    ...documents.flatMap((document) => [json(document), jsonForHtml(document)]), // a document within a document
    Hex.encode(bytes),
    Hex.encode(bytes).toUpperCase(),
    ...wrapped(Base64.encode(bytes).replaceAll("=", "")),
    ...base64(bytes, Base64.encode),
    ...base64(bytes, Base64Url.encode)
  ]
}

const formsOf = (secret: string): ReadonlyArray<string> =>
  [...new Set([secret, secret.trim(), ...lines(secret)])].filter(({ length }) => length >= shortestSecret).flatMap(spellings)

/** Returns every spelling of a secret that is looked for: also of its composed form (NFC), in which the engine keeps all its strings. */
export const forms = (secret: string): ReadonlyArray<string> =>
  [...new Set([...new Set([secret, secret.normalize("NFC")])].flatMap(formsOf))].filter((form) => form.length >= shortestSecret)
