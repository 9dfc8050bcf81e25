// How long `make run` takes when everything is already there.
// Used by main.ts.
import { spawnSync } from "node:child_process"
import type { Figure } from "./figure.ts"

/** A line of `make run` that says how long a step took. */
const step = /^ {2}ok {2}(.+?) {2,}([\d.]+ (?:s|min \d+ s))/gmu

export const secondRun = (say: (what: string) => void): ReadonlyArray<Figure> => {
  say("a second make run")
  const began = performance.now()
  const { status, stdout } = spawnSync("scripts/run", { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })
  const seconds = (performance.now() - began) / 1000
  if (status !== 0) throw new Error(`scripts/run ended with ${status}:\n${stdout}`)
  const steps = [...stdout.matchAll(step)].map(([, what, time]) => `${what} ${time}`)
  return [{ what: "second make run", unit: "s", budget: 60, values: [seconds], note: `Of it: ${steps.join(", ")}.` }]
}
