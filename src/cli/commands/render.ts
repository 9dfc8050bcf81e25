// `agent-job render`: prints every object of an installation, and with --task the Job of an AgentTask, without a cluster.
// Invariant: the same files give the same bytes. The objects come from the builders that the controller and kustomize/base use too.
// Used by agent-job.ts.
import { Effect, Option, Result } from "effect"
import { Command, Flag } from "effect/cli"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { installationNameLimit, ObjectName } from "../../schema/names.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { inputFlag, installationFlags } from "../flags/settings.ts"
import { writerOf } from "../terminal/answer.ts"
import type { BadInput } from "../terminal/failure.ts"
import { lazily, loading } from "../terminal/lazily.ts"
import { withScreen } from "../terminal/with-screen.ts"
import { givenValues, unusable, valuesFlag } from "../values/values-flag.ts"

const flags = {
  values: valuesFlag,
  task: inputFlag("task").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("An AgentTask (YAML), to see its Job too; of a file with several objects, the one AgentTask.")
  ),
  ...installationFlags,
  // The same values give the same objects as the chart makes, also for a release of a longer name. Nothing is installed by this command.
  name: Flag.String("name").pipe(
    Flag.withSchema(ObjectName),
    Flag.withMetavar("NAME"),
    Flag.withDefault("agent-job"),
    Flag.withDescription(
      `The name of the installation, by whose first ${installationNameLimit} characters objects are named; agent-job by default.`
    )
  ),
  output: Flag.Literals("output", ["yaml", "json"]).pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("yaml|json"),
    Flag.withDefault("yaml"),
    Flag.withDescription("yaml, by default: one document an object; json: one List.")
  )
}

const readTask = (file: string, { policy, taskNamespace }: ResolvedConfig): Effect.Effect<ReadonlyArray<AgentTask>, BadInput> =>
  lazily(async () => {
    const [{ readTexts }, { located }, { parseTaskFile }, { onlyOfKind, yamlLayer }, { agentTaskResource }, { templateRefusal }] =
      await Promise.all([
        import("../../controller/configuration/values-files.ts"),
        import("../../schema/document/fault.ts"),
        import("../../schema/task/task-file.ts"),
        import("../../schema/document/yaml-layer.ts"),
        import("../../schema/names.ts"),
        import("../../core/task/template-keys.ts")
      ])
    const taskIn = (file: string, text: string) =>
      Result.gen(function*() {
        const own = yield* Result.mapError(onlyOfKind(text, agentTaskResource.kind), (message) => [{ file, message }])
        const layer = yield* yamlLayer(file, own)
        const task = yield* Result.mapError(parseTaskFile(taskNamespace)(layer.tree), (mistakes) => located([layer], mistakes))
        const message = templateRefusal(task, policy.allowedKeys)
        return yield* message === undefined ? Result.succeed(task) : Result.fail([{ file, message }])
      })
    return Effect.flatMap(
      readTexts([file]),
      (texts) =>
        Effect.forEach(
          texts,
          ({ file, text }) => Effect.mapError(Effect.fromResult(taskIn(file, text)), (faults) => ({ files: [file], faults }))
        )
    ).pipe(Effect.catch(unusable))
  })

const print = (output: "yaml" | "json", objects: ReadonlyArray<object>) =>
  withScreen(({ result }) =>
    Effect.flatMap(
      loading(() => writerOf(output)),
      (write) =>
        result(output === "json" ? write({ apiVersion: "v1", kind: "List", items: objects }) : objects.map(write).join("---\n").trimEnd())
    )
  )

export const render = Command.make("render", flags, ({ name, namespace, output, task, values }) =>
  lazily(async () => {
    const [{ install }, { job }, { resolve }, { accountsApart }] = await Promise.all([
      import("../../core/manifest/installation/install.ts"),
      import("../../core/manifest/job.ts"),
      import("../../core/resolve/resolve.ts"),
      import("../values/own-accounts.ts")
    ])
    return Effect.gen(function*() {
      const config = resolve(yield* givenValues(values), { name, namespace })
      yield* accountsApart(config)
      const tasks = yield* Option.match(task, { onNone: () => Effect.succeed([]), onSome: (file) => readTask(file, config) })
      yield* print(output, [...install(config), ...tasks.map((task) => job(task, config, task.spec.stage === "plan" ? 0 : 1))])
    })
  })).pipe(
    Command.withDescription("Print every object of an installation, without a cluster."),
    Command.withExamples([
      { command: "agent-job render -f values.yaml | kubectl diff -f -", description: "What these values would change" },
      { command: "agent-job render -f values.yaml --task task.yaml -o json", description: "With the Job of a task" }
    ])
  )
