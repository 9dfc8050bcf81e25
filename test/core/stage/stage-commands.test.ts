// The engine's commands of every stage, as they are typed.
import { describe, expect, it } from "@effect/vitest"
import {
  needsWritableLock,
  readsTofuFiles,
  showVersion,
  showWorkspace,
  stageCommands,
  type StageSpec,
  tellsEvents,
  withoutArguments
} from "../../../src/core/stage/stage-commands.ts"

const planFile = "/data/engine/plan.tfplan"
const typed = (spec: StageSpec): ReadonlyArray<string> => stageCommands(spec).map(({ args }) => args.join(" "))

const rows: ReadonlyArray<{ readonly given: string; readonly spec: StageSpec; readonly commands: ReadonlyArray<string> }> = [
  {
    given: "a plan",
    spec: { stage: "plan", keeper: "backend", planFile, savedPlan: false },
    commands: [
      "init -input=false",
      "plan -input=false -lock=false -detailed-exitcode=false -state= -out=/data/engine/plan.tfplan",
      "show -json /data/engine/plan.tfplan"
    ]
  },
  {
    given: "a plan of the destruction of two things without a refresh",
    spec: {
      stage: "plan",
      keeper: "backend",
      options: { destroy: true, refresh: false, targets: ["a.b", "module.c"] },
      planFile,
      savedPlan: false
    },
    commands: [
      "init -input=false",
      "plan -input=false -lock=false -detailed-exitcode=false -state= -out=/data/engine/plan.tfplan -destroy -refresh=false -target=a.b -target=module.c",
      "show -json /data/engine/plan.tfplan"
    ]
  },
  {
    given: "a plan that only refreshes",
    spec: { stage: "plan", keeper: "backend", options: { refreshOnly: true }, planFile, savedPlan: false },
    commands: [
      "init -input=false",
      "plan -input=false -lock=false -detailed-exitcode=false -state= -out=/data/engine/plan.tfplan -refresh-only",
      "show -json /data/engine/plan.tfplan"
    ]
  },
  {
    given: "an apply of a saved plan",
    spec: { stage: "apply", keeper: "server", options: { targets: ["a.b"] }, planFile, savedPlan: true },
    commands: ["init -input=false -lockfile=readonly -upgrade=false -get=false", "apply -input=false -lock=true /data/engine/plan.tfplan"]
  },
  {
    given: "an apply of a saved plan whose lock file the engine may not find read-only",
    spec: { stage: "apply", keeper: "server", planFile, savedPlan: true, writableLock: true },
    commands: ["init -input=false -upgrade=false -get=false", "apply -input=false -lock=true /data/engine/plan.tfplan"]
  },
  {
    given: "a destroy of a saved plan",
    spec: { stage: "destroy", keeper: "server", planFile, savedPlan: true },
    commands: ["init -input=false -lockfile=readonly -upgrade=false -get=false", "apply -input=false -lock=true /data/engine/plan.tfplan"]
  },
  {
    given: "a plan of a pool, of which every option says what it is without",
    spec: {
      stage: "plan",
      keeper: "server",
      options: { destroy: false, refresh: true, refreshOnly: false, targets: [] },
      planFile,
      savedPlan: false
    },
    commands: [
      "init -input=false",
      "plan -input=false -lock=false -detailed-exitcode=false -out=/data/engine/plan.tfplan",
      "show -json /data/engine/plan.tfplan"
    ]
  },
  {
    given: "an apply of a plan that was kept without a pool",
    spec: { stage: "apply", keeper: "backend", planFile, savedPlan: true },
    commands: [
      "init -input=false -lockfile=readonly -upgrade=false -get=false",
      "apply -input=false -state= -state-out= /data/engine/plan.tfplan"
    ]
  },
  {
    given: "an apply without a pool",
    spec: { stage: "apply", keeper: "backend", options: { replace: ["a.b"] }, planFile, savedPlan: false },
    commands: ["init -input=false", "apply -input=false -state= -state-out= -auto-approve -replace=a.b"]
  },
  {
    given: "a destroy without a pool",
    spec: { stage: "destroy", keeper: "backend", planFile, savedPlan: false },
    commands: ["init -input=false", "apply -input=false -state= -state-out= -auto-approve -destroy"]
  },
  {
    given: "a destroy of one thing without a pool",
    spec: { stage: "destroy", keeper: "backend", options: { targets: ["a.b"] }, planFile, savedPlan: false },
    commands: ["init -input=false", "apply -input=false -state= -state-out= -auto-approve -destroy -target=a.b"]
  }
]

describe("stageCommands", () => {
  it.each(rows)("are, for $given, those that a person would type", ({ commands, spec }) => expect(typed(spec)).toEqual(commands))

  it("tell their events on a descriptor of their own when the engine can", () => {
    expect(typed({ stage: "apply", keeper: "server", planFile, savedPlan: true, events: true })).toEqual([
      "init -input=false -lockfile=readonly -upgrade=false -get=false",
      "apply -input=false -lock=true -json-into=/dev/fd/7 /data/engine/plan.tfplan"
    ])
    expect(typed({ stage: "destroy", keeper: "backend", planFile, savedPlan: false, events: true })[1]).toBe(
      "apply -input=false -state= -state-out= -json-into=/dev/fd/7 -auto-approve -destroy"
    )
  })

  it.each([{ events: true, tells: "events" }, { events: false, tells: "log" }] as const)(
    "tell what they do in the $tells",
    ({ events, tells }) => {
      expect(stageCommands({ stage: "apply", keeper: "server", planFile, savedPlan: true, events }).map((command) => command.tells))
        .toEqual([
          undefined,
          tells
        ])
    }
  )

  it("take no additional arguments where the worker alone reads what they print", () =>
    expect(
      [showVersion, showWorkspace, stageCommands({ stage: "plan", keeper: "server", planFile, savedPlan: false })[2] ?? showVersion].map(
        withoutArguments
      )
    )
      .toEqual([
        { TF_CLI_ARGS: "", TF_CLI_ARGS_version: "" },
        { TF_CLI_ARGS: "", TF_CLI_ARGS_workspace_show: "" },
        { TF_CLI_ARGS: "" }
      ]))

  it("make no flag of what a user wrote", () => {
    const { args } =
      stageCommands({ stage: "plan", keeper: "backend", options: { targets: ["-destroy"] }, planFile, savedPlan: false })[1] ??
        { args: [] }
    expect(args).not.toContain("-destroy")
  })

  it.each([
    { engine: "tofu", version: "1.12.0", able: true },
    { engine: "tofu", version: "1.12.0-beta1", able: true },
    { engine: "tofu", version: "2.0.0", able: true },
    { engine: "tofu", version: "1.11.9", able: false },
    { engine: "tofu", version: "strange", able: false },
    { engine: "terraform", version: "1.15.0", able: false }
  ])("ask for events of $engine $version: $able", ({ able, engine, version }) => expect(tellsEvents(engine, version)).toBe(able))

  it.each([
    { engine: "tofu", version: "1.8.0", able: true },
    { engine: "tofu", version: "1.7.10", able: false },
    { engine: "terraform", version: "1.15.0", able: false }
  ])(
    "are of an engine that reads .tofu files, $engine $version: $able",
    ({ able, engine, version }) => expect(readsTofuFiles(engine, version)).toBe(able)
  )

  it.each([
    { engine: "tofu", source: "registry.terraform.io/hashicorp/aws", able: true },
    { engine: "tofu", source: "registry.opentofu.org/hashicorp/aws", able: false },
    { engine: "tofu", source: "registry.terraform.io/datadog/datadog", able: false },
    { engine: "terraform", source: "registry.terraform.io/hashicorp/aws", able: false }
  ])(
    "may write the lock file where $engine takes $source for its own: $able",
    ({ able, engine, source }) => expect(needsWritableLock(engine, `# Maintained\n\nprovider "${source}" {\n}\n`)).toBe(able)
  )

  it("say which of them may change something", () => {
    const mutating = (spec: StageSpec) => stageCommands(spec).filter(({ mutates }) => mutates).map(({ subcommand }) => subcommand)
    expect(mutating({ stage: "plan", keeper: "backend", planFile, savedPlan: false })).toEqual([])
    expect(mutating({ stage: "apply", keeper: "backend", planFile, savedPlan: true })).toEqual(["apply"])
    expect(mutating({ stage: "destroy", keeper: "backend", planFile, savedPlan: false })).toEqual(["apply"])
  })
})
