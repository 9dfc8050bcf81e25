// The forms of a secret that is easy to find, and which of them a text has: tests look with these wherever a secret must not be.
// Used by the canary tests of server and end-to-end.

/** Returns the secret as it is and in the encodings that a careless log would use, less what depends on text behind it. */
export const songsOf = (canary: string): ReadonlyArray<string> => [
  ...new Set([
    canary,
    Buffer.from(canary).toString("base64").slice(0, -4),
    Buffer.from(canary).toString("hex"),
    encodeURIComponent(canary)
  ])
]

export const sings = (text: string, secrets: ReadonlyArray<string>): ReadonlyArray<string> =>
  secrets.filter((secret) => text.includes(secret))
