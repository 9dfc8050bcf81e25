// A seal, for tests of what carries one.
// Used by the tests of saved plans.
import { Sha256 } from "../../src/schema/names.ts"
import type { Seal } from "../../src/schema/task/seal.ts"

const digest = (digit: string): Sha256 => Sha256.make(digit.repeat(64))

export const seal = (more: Partial<Seal> = {}): Seal => ({
  version: 1,
  backend: digest("9"),
  configuration: digest("1"),
  directory: "",
  engine: { name: "tofu", version: "1.12.6" },
  environment: { AWS_REGION: digest("2") },
  lockFile: digest("3"),
  modules: { "modules.json": digest("7"), vpc: digest("8") },
  plan: digest("4"),
  state: { lineage: "one", serial: 4 },
  variables: { region: digest("5"), db_password: digest("6") },
  ...more
})
