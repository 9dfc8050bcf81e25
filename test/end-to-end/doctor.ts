// The doctor's findings, as a program reads them.
// Used by the end-to-end tests that ask it.
import { Schema } from "effect"
import { agentJob } from "./product.ts"

const Diagnosis = Schema.Struct({
  checks: Schema.Array(Schema.Struct({ name: Schema.String, outcome: Schema.String, message: Schema.String }))
})
const decodeDiagnosis = Schema.decodeUnknownSync(Schema.fromJsonString(Diagnosis))

/** Runs `agent-job doctor` and returns its exit code, and what it found by the name of the check, as "outcome: message". */
export const diagnose = async (...flags: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await agentJob("doctor", "-o", "json", ...flags)
  if (stdout === "") throw new Error(`agent-job doctor printed nothing and ended with ${code}: ${stderr}`)
  const { checks } = decodeDiagnosis(stdout)
  return { code, stderr, found: Object.fromEntries(checks.map(({ message, name, outcome }) => [name, `${outcome}: ${message}`])) }
}
