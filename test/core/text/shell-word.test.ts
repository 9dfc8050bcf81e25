// Words of printed commands, as a shell reads them.
import { describe, expect, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { shellWord } from "../../../src/core/text/shell-word.ts"

describe("shellWord", () => {
  it.each(["infra", "../live/eu-west_1", "https://example.com:8080/a,b@c=d"])(
    "leaves %s as it is",
    (word) => expect(shellWord(word)).toBe(word)
  )
  it.each(["", "two words", "it's", `"$HOME" \\ \`id\``, "~/live", "a;b & c | d > e", "*?[x]", "línea\nnueva"])(
    "makes one word of %j for a shell",
    (word) => expect(execFileSync("sh", ["-c", `printf '<%s>' ${shellWord(word)}`], { encoding: "utf8" })).toBe(`<${word}>`)
  )
})
