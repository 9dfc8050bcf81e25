// Which words of TF_CLI_ARGS make a command of the engine do nothing and succeed.
// Each was tried with OpenTofu 1.12 and Terraform 1.11.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { idleArguments, mutingArguments, printsJson } from "../../../src/core/stage/engine-arguments.ts"

describe("arguments by environment", () => {
  it.each([
    { name: "TF_CLI_ARGS_apply", value: "-help" },
    { name: "TF_CLI_ARGS_apply", value: "-h" },
    { name: "TF_CLI_ARGS_apply", value: "--help" },
    { name: "TF_CLI_ARGS", value: "-version" },
    { name: "TF_CLI_ARGS_plan", value: "-no-color\t--version" },
    { name: "TF_CLI_ARGS", value: "-v -parallelism=3" },
    { name: "TF_CLI_ARGS_apply", value: `-var 'a=b c' "-help"` },
    { name: "TF_CLI_ARGS_apply", value: "-he'l'p" },
    { name: "TF_CLI_ARGS_apply", value: String.raw`\-help` },
    { name: "TF_CLI_ARGS_apply", value: "-help;" },
    { name: "TF_CLI_ARGS_apply", value: "-help>log" }
  ])("let nothing be run with $value in $name, and say which word to take out", ({ name, value }) => {
    const said = Option.getOrElse(idleArguments({ AWS_REGION: "eu", [name]: value }), () => "nothing")
    expect(said).toMatch(new RegExp(`^${name} has --?(?:h|help|v|version), with which`, "u"))
  })

  it.each([
    { name: "TF_CLI_ARGS_apply", value: "" },
    { name: "TF_CLI_ARGS", value: "-no-color" },
    { name: "TF_CLI_ARGS_plan", value: "-var=help=-help -var -verbose" },
    { name: "TF_CLI_ARGS_plan", value: `-var 'note=see -help here' -var "a=\\" -h \\""` },
    { name: "TF_CLI_ARGS_apply", value: "-helpful --h -version=1 '-help;'" },
    { name: "TF_CLI_ARGSX", value: "-help" },
    { name: "NOTES", value: "-help" }
  ])(
    "are the engine's own business with $value in $name",
    ({ name, value }) => expect(idleArguments({ [name]: value })).toEqual(Option.none())
  )

  it.each([
    { name: "TF_CLI_ARGS_apply", value: "-concise", word: "-concise" },
    { name: "TF_CLI_ARGS", value: "-no-color '--concise=true'", word: "--concise=true" },
    { name: "TF_CLI_ARGS_apply", value: "-consolidate-errors", word: "-consolidate-errors" },
    { name: "TF_CLI_ARGS_apply", value: "-consolidate-errors=1 -json=false", word: "-consolidate-errors=1" },
    { name: "TF_CLI_ARGS_apply", value: "-json -concise --json=F", word: "-concise" },
    { name: "TF_CLI_ARGS_apply", value: "-concise -consolidate-errors --json=true" },
    { name: "TF_CLI_ARGS_apply", value: "-concise=false -var=x=-concise -consolidate-warnings -consolidate-errors=false" },
    { name: "TF_CLI_ARGS_plan", value: "-concise" }
  ])(
    "keep an apply from telling what it makes with $value in $name: $word",
    ({ name, value, word }) =>
      expect(mutingArguments({ [name]: value })).toEqual(
        word === undefined
          ? Option.none()
          : Option.some(`${name} has ${word}, with which this OpenTofu may not tell what it makes; take that out.`)
      )
  )

  it.each([
    { name: "TF_CLI_ARGS_apply", value: "-json", json: true },
    { name: "TF_CLI_ARGS", value: "-no-color '--json=true'", json: true },
    { name: "TF_CLI_ARGS_apply", value: "-var=x=-json -json-into=x", json: false },
    { name: "TF_CLI_ARGS_plan", value: "-json", json: false }
  ])("make an apply print JSON with $value in $name: $json", ({ json, name, value }) => expect(printsJson({ [name]: value })).toBe(json))

  it("are looked through in no more time than they are long", () => {
    expect(idleArguments({ TF_CLI_ARGS: `"${"\\".repeat(200_000)}`, TF_CLI_ARGS_apply: `${"'".repeat(200_001)} -x` })).toEqual(
      Option.none()
    )
  })
})
