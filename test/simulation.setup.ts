// Leaves no file of the simulation behind: the processes of the unit tests are ended by a signal, of which tests have their own.
// Used by vitest.config, for all unit tests.
import { afterAll } from "vitest"
import { forgetLastWords } from "./simulation/last-words.ts"

afterAll(forgetLastWords)
