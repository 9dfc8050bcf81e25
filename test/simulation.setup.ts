// Leaves no file of the simulation behind: its processes are ended by a signal, of which tests have their own.
// Used by vitest.config.
import { afterAll } from "vitest"
import { forgetLastWords } from "./simulation/last-words.ts"

afterAll(forgetLastWords)
