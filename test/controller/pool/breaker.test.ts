// Which callers may ask a server that was silent, and when the others come again. It rests for 30 s, and the caller that asks gets 15 s.
import { expect, it } from "@effect/vitest"
import { makeBreaker } from "../../../src/controller/pool/breaker.ts"

/** Either a caller comes at this second, or the caller that asked says at this second how it went. */
type Happened = number | readonly [at: number, said: "answered" | "silent"]

const second = 1000
/** Returns for how many seconds each caller that comes has to wait. */
const waits = (happened: ReadonlyArray<Happened>) => {
  const breaker = makeBreaker({ restMillis: 30 * second, askMillis: 15 * second })
  return happened.flatMap((one) => {
    if (typeof one === "number") return [breaker.askOrWait(one * second) / second]
    const [at, said] = one
    breaker[said](at * second)
    return []
  })
}

it.each<{ given: string; happened: ReadonlyArray<Happened>; gets: ReadonlyArray<number> }>([
  { given: "nothing of it", happened: [0, 0, 1], gets: [0, 0, 0] },
  { given: "that it was silent", happened: [0, [15, "silent"], 15, 44], gets: [0, 30, 1] },
  { given: "its rest is over, when one may ask", happened: [[0, "silent"], 30, 30, 31, 32, 34, 38, 44.5], gets: [0, 1, 1, 2, 4, 7, 0.5] },
  { given: "that it answers who asked", happened: [[0, "silent"], 30, 30, [30.02, "answered"], 31, 31], gets: [0, 1, 0, 0] },
  { given: "that it is still silent", happened: [[0, "silent"], 30, [45, "silent"], 45, 75], gets: [0, 30, 0] },
  { given: "nothing of who asked", happened: [[0, "silent"], 30, 45, 45], gets: [0, 0, 1] },
  {
    given: "of two who asked before, the one that it answers last",
    happened: [0, 0, [15, "silent"], [16, "answered"], 17],
    gets: [0, 0, 0]
  }
])("one of whom is known $given", ({ gets, happened }) => {
  expect(waits(happened)).toEqual(gets)
})
