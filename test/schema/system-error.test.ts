import { describe, expect, it } from "vitest"
import { codeOf, errorInWords } from "../../src/schema/system-error.ts"

describe("an error of the operating system", () => {
  it.each([
    { given: "with a path", message: "ENOENT: no such file or directory, open '/nope'", says: "no such file or directory" },
    {
      given: "with two paths",
      message: "EXDEV: cross-device link not permitted, rename '/a' -> '/b'",
      says: "cross-device link not permitted"
    },
    { given: "without a path", message: "EISDIR: illegal operation on a directory, read", says: "illegal operation on a directory" },
    { given: "with a digit in its code", message: "E2BIG: argument list too long, spawn", says: "argument list too long" },
    { given: "with a path of two lines and a quote", message: "EACCES: permission denied, open '/a, b\nc'd'", says: "permission denied" },
    { given: "that is no such error", message: "no *.yaml file in it, at all", says: "no *.yaml file in it, at all" },
    { given: "of a port", message: "listen EACCES: permission denied 0.0.0.0:80", says: "listen EACCES: permission denied 0.0.0.0:80" }
  ])("$given is told without its code, its call and its path", ({ message, says }) => expect(errorInWords(new Error(message))).toBe(says))

  it("that is none is told as text", () => expect(errorInWords("refused")).toBe("refused"))

  it("has a code, and others have none", () => {
    expect(codeOf(Object.assign(new Error("full"), { code: "ENOSPC" }))).toBe("ENOSPC")
    expect([new Error("plain"), { code: 5 }, null, "text"].map(codeOf)).toEqual(["", "", "", ""])
  })
})
