// A logger for tests of what is logged.
// Used by tests that have the test clock, which warns in the same log when a busy machine keeps their code waiting.
import { Logger } from "effect"

const isOfClock = (said: unknown): boolean => typeof said === "string" && said.includes("test clock")

/** Tells each line but those of the test clock. */
export const loggerTo = (tell: (line: Logger.Options<unknown>) => void): Logger.Logger<unknown, void> =>
  Logger.make((line) => [line.message].flat().some(isOfClock) ? undefined : tell(line))
