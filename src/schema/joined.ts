// Bytes put together to one array; core and schema do without Node's Buffer.
// Used by core/text/lines, core/text/redact, core/state/state-head and schema/api/task-api.

export const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sizeBytes, part) => sizeBytes + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.byteLength
  }
  return whole
}
