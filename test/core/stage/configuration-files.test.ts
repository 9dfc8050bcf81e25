// Which files are configuration, for which engine, and what a stage says that has none.
import { describe, expect, it } from "@effect/vitest"
import { isConfiguration, noConfiguration } from "../../../src/core/stage/configuration-files.ts"

describe("isConfiguration", () => {
  it.each(["main.tf", "main.tofu", "x.tf.json", "x.tofu.json", "a_override.tf"])(
    "takes %s for it",
    (name) => expect(isConfiguration(name)).toBe(true)
  )
  it.each(["main.tfvars", "terraform.tfstate", "zzzz_agent_job_override.tf", "tf", ".main.tf"])(
    "does not take %s for it",
    (name) => expect(isConfiguration(name)).toBe(false)
  )
  it.each([["main.tf", true], ["x.tf.json", true], ["main.tofu", false], ["x.tofu.json", false]] as const)(
    "knows of an engine that reads no .tofu whether it reads %s: %s",
    (name, reads) => expect(isConfiguration(name, false)).toBe(reads)
  )
})

describe("noConfiguration", () =>
  it.each([
    {
      directory: "",
      tofu: true,
      says: "in the top directory of the source: no file there ends in .tf or .tofu, which is all that x 1 reads,"
    },
    {
      directory: "live/eu",
      tofu: false,
      says: "in the directory live/eu of the source: no file there ends in .tf, which is all that x 1 reads,"
    }
  ])("names the directory '$directory', and what an engine reads with .tofu: $tofu", ({ directory, says, tofu }) =>
    expect(noConfiguration(directory, "x 1", tofu)).toBe(
      `There is no configuration ${says} and to plan nothing is to destroy all that the state has; name the directory that has it as the working directory, or ask for a destroy; where a wrapper of the engine in the runner image makes it, add an empty .tf file.`
    )))
