import { describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { droppedFault, environmentFault } from "../../../src/core/stage/environment-fault.ts"

describe("an environment variable", () => {
  it.each([
    ["AWS_REGION", "eu-west-1"],
    ["lower_1", ""],
    ["_A", "a\nb'\u{1f600}"],
    ["UIDS", "1"],
    ["LONGEST", "x".repeat(131_072 - "LONGEST=".length - 1)]
  ])("of a stage may be %s", (name, value) => expect(environmentFault(name, value)).toBeUndefined())

  it.each([
    { name: "C-D", value: "1", fault: /^The environment variable "C-D" cannot be set; use only letters, digits and underscores/u },
    { name: "1A", value: "1", fault: /^The environment variable "1A" cannot be set/u },
    ...["UID", "RANDOM", "SECONDS", "BASH_X", "_"].map((name) => ({
      name,
      value: "1",
      fault: /belongs to the runner's shell; choose another name$/u
    })),
    { name: "A", value: "b\0", fault: /^The environment variable A has a NUL byte in its value; remove it$/u },
    { name: "A", value: "x".repeat(131_070), fault: /^The environment variable A has 128 KiB or more/u },
    { name: "A", value: "é".repeat(65_536), fault: /^The environment variable A has 128 KiB or more/u }
  ])("of a stage cannot be $name: $fault", ({ fault, name, value }) => expect(environmentFault(name, value)).toMatch(fault))

  it("is what Linux starts a program with, to the byte", () => {
    const starts = (value: string) => spawnSync("/bin/true", { env: { A: value } }).status === 0
    const longest = "x".repeat(131_072 - "A=".length - 1)
    expect([longest, `${longest}x`].map(starts)).toEqual([true, false])
    expect([longest, `${longest}x`].map((value) => environmentFault("A", value) === undefined)).toEqual([true, false])
  })
})

describe("a variable of the runner's container", () => {
  const environ = (...names: ReadonlyArray<string>) => names.map((name) => `${name}=a=b\n\0`).join("")

  const renamed = "use only letters, digits and underscores in its name (of a host, _ for each dot and __ for each hyphen)"
  const asInput = "give the value as an input variable"

  it.each([
    { name: "TF_VAR_instance-type", instead: asInput },
    { name: "TF_VAR_größe", instead: renamed },
    { name: "TF_TOKEN_a.example.com", instead: renamed },
    { name: "TF_CLI_ARGS_x y", instead: renamed }
  ])("that the engine would heed is missed where the shell drops it: $name", ({ instead, name }) => {
    expect(droppedFault(environ("PATH", "HOME"), environ("PATH", "TF_VAR_kept", name))).toBe(
      `The environment variable "${name}" of the runner does not reach the engine, since the shell of its image drops it; ${instead}, or use an image whose /bin/sh is bash`
    )
    expect(droppedFault(environ("PATH", name), environ("PATH", name))).toBeUndefined()
  })

  it.each([
    { given: "another program's", environment: environ("app.name", "MY-TF_VAR_a") },
    { given: "one that a shell can name, which a wrapper takes away on purpose", environment: environ("TF_LOG") },
    { given: "none, where nobody may read them", environment: "" },
    { given: "what is no variable", environment: "TF_VAR_a-b\0=TF_VAR_a-b\0\0" }
  ])("is not missed if it is $given", ({ environment }) => expect(droppedFault(environ("PATH"), environment)).toBeUndefined())
})
