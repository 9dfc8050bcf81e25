import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { logText } from "../../../src/cli/terminal/log-text.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const shown = (colours: boolean, pieces: ReadonlyArray<Uint8Array>, skipLines = 0) => {
  const text = logText(colours, skipLines)
  return pieces.map(text.push).join("") + text.rest()
}

describe("the text of a log", () => {
  it("is what is between the frame", () => {
    const text = logText(true)
    expect(text.push(bytes("\x02Initializing…\n"))).toBe("Initializing…\n")
    expect(text.ended()).toBe(false)
    expect(text.push(bytes("done\n\x03"))).toBe("done\n")
    expect(text.ended()).toBe(true)
  })
  it("is not over while bytes follow what may be its end: a provisioner may print that byte", () => {
    const text = logText(true)
    text.push(bytes("\x02Initializing…\n\x03"))
    expect(text.push(bytes("done\n"))).toBe("done\n")
    expect(text.ended()).toBe(false)
  })
  it("keeps colours where they are wanted", () => {
    expect(shown(true, [bytes("\x1b[1;32m+ create\x1b[0m\n")])).toBe("\x1b[1;32m+ create\x1b[0m\n")
    expect(shown(false, [bytes("\x1b[1;32m+ create\x1b[0m\n")])).toBe("+ create\n")
  })
  it.each([
    ["clears the screen", "\x1b[2J\x1b[H"],
    ["moves the cursor", "\x1b[10A"],
    ["sets the title", "\x1b]0;pwned\x07"],
    ["writes the clipboard", "\x1b]52;c;cm0gLXJm\x1b\\"],
    ["asks the terminal what it is", "\x1b[c\x1bZ"],
    ["switches character sets", "\x1b(0"],
    ["rings or goes back", "\x07\x08"],
    ["uses eight-bit controls", "\u009b31m"]
  ])("drops what %s", (_, sequence) => expect(shown(true, [bytes(`a${sequence}b\n`)]).replace("31m", "")).toBe("ab\n"))
  it.each(["0", "", "1", "09", "22", "4;31", "39;49", "38;5;196", "1;48;2;0;128;255;97", "38:2::1:2:3", "107"])(
    "keeps the colours %j",
    (codes) => expect(shown(true, [bytes(`a\x1b[${codes}mb\n`)])).toBe(`a\x1b[${codes}mb\n`)
  )
  it.each(["8", "08", "1;8", "8;31", "38;5;1;8", "38;2;1;2;3;8", "38;8", "28", "1:8", "110"])(
    "drops what conceals, or may: %j",
    (codes) => expect(shown(true, [bytes(`a\x1b[${codes}mb\n`)])).toBe("ab\n")
  )
  it("writes nothing over", () => {
    for (const colours of [true, false]) {
      expect(shown(colours, [bytes("rm -rf /\recho hello\r\n10 %\r\r20 %\r")])).toBe("rm -rf /\necho hello\r\n10 %\n\n20 %\n")
    }
  })
  it("shows in the order in which it was printed", () => expect(shown(true, [bytes("a\u202eb\u2066c\n")])).toBe("a\\u202eb\\u2066c\n"))
  it("skips the lines that only stock clients need, however they arrive", () => {
    expect(shown(true, [bytes("\x02one\ntw"), bytes("o\nthree\nfour\n\x03")], 3)).toBe("four\n")
  })
  it("gives an escape sequence that is never finished up", () => {
    const text = logText(true)
    expect(text.push(bytes("a\x1b]0;"))).toBe("a")
    expect(text.push(bytes("b".repeat(5000)))).toContain("bbb")
  })

  const pieces = Schema.Array(
    Schema.Literals(["é", "日本", "\x1b[31m", "\x1b[0m", "plain", "\n", "\x1b]0;t\x07", "🙂", "\x1b[2K", "\x1b[8m", "\r", "\u202e"])
  )
  it.prop("is the same however the bytes are cut", [
    Arbitrary.schema(pieces),
    Arbitrary.schema(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 }))))
  ], ([words, sizes]) => {
    const whole = bytes(words.join(""))
    const cut: Array<Uint8Array> = []
    let at = 0
    for (const size of sizes) {
      cut.push(whole.subarray(at, at + size))
      at += size
    }
    cut.push(whole.subarray(at))
    for (const colours of [true, false]) expect(shown(colours, cut)).toBe(shown(colours, [whole]))
  })
})
