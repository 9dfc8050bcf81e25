// `agent-job render`: every object that an installation consists of, and with --task the Job of an AgentTask, printed without a cluster.
// Invariant: the same files print the same bytes, from the builders that the controller and kustomize/base use too.
// Used by agent-job.ts.
import { Effect, Option, Result } from "effect"
import { Command, Flag } from "effect/cli"
import { readFile } from "node:fs/promises"
import { BadInput } from "./failure.ts"
import { lazily } from "./lazily.ts"

const flags = {
  values: Flag.Path("values").pipe(Flag.withAlias("f"), Flag.withMetavar("FILE"), Flag.optional, Flag.withDescription("The values file (YAML); without one, the defaults.")),
  task: Flag.Path("task").pipe(Flag.withMetavar("FILE"), Flag.optional, Flag.withDescription("An AgentTask (YAML), to see its Job too.")),
  name: Flag.String("name").pipe(Flag.withMetavar("NAME"), Flag.withDefault("agent-job"), Flag.withDescription("The name of the installation.")),
  namespace: Flag.String("namespace").pipe(Flag.withAlias("n"), Flag.withMetavar("NAME"), Flag.withDefault("agent-job"), Flag.withDescription("Its namespace.")),
  output: Flag.Literals("output", ["yaml", "json"]).pipe(Flag.withAlias("o"), Flag.withDefault("yaml"), Flag.withDescription("yaml: one document an object; json: one List."))
}

const readYaml = (file: string): Effect.Effect<unknown, BadInput> =>
  lazily(async () => {
    const { Yaml } = await import("effect/encoding")
    const because = (error: unknown) => new BadInput({ message: `Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}` })
    return Effect.flatMap(Effect.tryPromise({ try: () => readFile(file, "utf8"), catch: because }), (text) => Effect.try({ try: () => Yaml.parse(text), catch: because }))
  })

/** What is wrong with a file, a line each. */
const accepted = <A>(file: string, result: Result.Result<A, ReadonlyArray<string>>): Effect.Effect<A, BadInput> =>
  Effect.mapError(Effect.fromResult(result), (problems) => new BadInput({ message: `${file} cannot be used; correct this and try again:\n${problems.map((_) => `  ${_}`).join("\n")}` }))

const read = <A>(file: string, parse: (input: unknown) => Result.Result<A, ReadonlyArray<string>>) =>
  Effect.flatMap(readYaml(file), (input) => accepted(file, parse(input)))

const print = (output: "yaml" | "json", objects: ReadonlyArray<object>) =>
  lazily(async () => {
    const [{ Screen }, { manifestYaml }] = await Promise.all([import("./screen.ts"), import("./manifest-yaml.ts")])
    const text = output === "json"
      ? JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }, null, 2)
      : objects.map(manifestYaml).join("---\n").trimEnd()
    return Effect.flatMap(Screen, ({ result }) => result(text)).pipe(Effect.provide(Screen.layer({ colours: false, forProgram: true })))
  })

export const render = Command.make("render", flags, ({ name, namespace, output, task, values }) =>
  lazily(async () => {
    const [{ install }, { job }, { resolve }, { parseTaskFile }, { appVersion, defaultValues, parseValues }] = await Promise.all([
      import("../core/manifest/install.ts"),
      import("../core/manifest/job.ts"),
      import("../core/resolve.ts"),
      import("../schema/task-file.ts"),
      import("../schema/values.ts")
    ])
    return Effect.gen(function*() {
      const given = yield* Option.match(values, { onNone: () => Effect.succeed(defaultValues), onSome: (file) => read(file, parseValues) })
      const config = resolve(given, { name, namespace, version: appVersion })
      const tasks = yield* Effect.forEach(Option.toArray(task), (file) => read(file, parseTaskFile(config.taskNamespace)))
      yield* print(output, [...install(config), ...tasks.map((task) => job(task, config, task.spec.stage === "plan" ? 0 : 1))])
    })
  })
).pipe(
  Command.withDescription("Print every object of an installation, without a cluster."),
  Command.withExamples([
    { command: "agent-job render -f values.yaml | kubectl diff -f -", description: "What these values would change" },
    { command: "agent-job render -f values.yaml --task task.yaml -o json", description: "With the Job of a task" }
  ])
)
