// The files that are added to a configuration; what the engine makes of them is tested with the engine itself.
import { describe, expect, it } from "@effect/vitest"
import { backendFile, variablesFile, variablesFileAfter } from "../../../src/core/stage/added-files.ts"

describe("variablesFile", () => {
  it("quotes plain values and leaves expressions as they are", () => {
    expect(variablesFile([{ name: "region", value: "eu", hcl: false }, { name: "zones", value: `["a", "b"]`, hcl: true }])).toBe(
      `region = "eu"\nzones = ["a", "b"]\n`
    )
  })
  it("has each name once, with the later value", () => {
    expect(
      variablesFile([{ name: "a", value: "1", hcl: false }, { name: "b", value: "2", hcl: false }, { name: "a", value: "3", hcl: false }])
    ).toBe(`a = "3"\nb = "2"\n`)
  })
})

describe("variablesFileAfter", () => {
  // Both engines load these files in the order of the bytes of their names, and the value that is loaded last wins.
  it.each([
    { names: [], file: "zzz_agent_job.auto.tfvars" },
    { names: ["main.tf", "zzzz.tfvars", "a.auto.tfvars", "terraform.tfvars"], file: "zzz_agent_job.auto.tfvars" },
    { names: ["zzz_agent_job.auto.tfvars"], file: "zzz_agent_job.auto.tfvars" },
    { names: ["zzzz.auto.tfvars", "a.auto.tfvars"], file: "zzzz.auto.tfvars.zzz_agent_job.auto.tfvars" },
    { names: ["zzz_agent_job.auto.tfvars.json"], file: "zzz_agent_job.auto.tfvars.json.zzz_agent_job.auto.tfvars" },
    { names: ["😀.auto.tfvars", "\uffee.auto.tfvars", "é.auto.tfvars"], file: "😀.auto.tfvars.zzz_agent_job.auto.tfvars" }
  ])("of $names is $file", ({ file, names }) => expect(variablesFileAfter(names)).toBe(file))
})

describe("backendFile", () => {
  it("is empty for a backend that the environment configures", () =>
    expect(backendFile("http")).toBe(`terraform {\n  backend "http" {\n  }\n}\n`))
  it("has the settings of the others", () =>
    expect(backendFile("s3", { bucket: "b" })).toBe(`terraform {\n  backend "s3" {\n    bucket = "b"\n  }\n}\n`))
})
