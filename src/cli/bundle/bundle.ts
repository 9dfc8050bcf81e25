// Collects in one archive what somebody needs who looks into an installation: the logs of its Pods, of those that are gone too, and objects.
// Invariant: it changes nothing. What cannot be read is named in MANIFEST.txt, and the rest goes on.
// Used by cli/commands/bundle.
import { DateTime, Effect, Option, Result, Schema, Stream } from "effect"
import { Tar } from "effect/encoding"
import { taskSelector } from "../../core/manifest/labels.ts"
import { Kubernetes, type Selection } from "../../kubernetes/client.ts"
import { agentTasks, events, jobs, type Kind, pods } from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { type ContainerStatus, Pod } from "../../schema/kubernetes/kubernetes.ts"
import { programVersion } from "../../schema/program-version.ts"
import { type ItsTasksFlags, usualTaskNamespace } from "../flags/settings.ts"
import { patiently } from "../server/patiently.ts"
import type { ServerClient } from "../server/server-client.ts"
import { counted, size } from "../terminal/amounts.ts"
import { logText } from "../terminal/log-text.ts"
import { manifestYaml } from "../terminal/manifest-yaml.ts"
import { inOrder } from "../terminal/readers.ts"
import { Screen } from "../terminal/screen.ts"
import { installedTaskNamespace } from "../values/installed-values.ts"
import { masked } from "./masked.ts"
import { endOf, writeTarGz } from "./tar-file.ts"

export interface BundleRequest extends ItsTasksFlags {
  readonly file: string
  readonly force: boolean
}

interface Part<E, R> {
  readonly path: string
  readonly content: Stream.Stream<Uint8Array, E, R>
}

type Server = ServerClient["Service"]

/** How many bytes of each file are kept, from its end. */
const mostBytes = 10 * 1024 * 1024
/** Of how many runs the stored logs are asked for, newest first. */
const mostRuns = 100
/** How many sentences about what is missing are printed; all are in MANIFEST.txt. */
const mostSaid = 10

/** Returns a log as text that no terminal obeys, and without the frame of a stored one. */
const readable = <E, R>(log: Stream.Stream<Uint8Array, E, R>) =>
  Stream.suspend(() => {
    const text = logText(false)
    return log.pipe(Stream.map(text.push), Stream.concat(Stream.sync(text.rest)), Stream.encodeText)
  })

const documents = <E, R>(objects: Stream.Stream<KubernetesObject, E, R>) =>
  objects.pipe(Stream.map((object) => `---\n${manifestYaml(masked(object))}`), Stream.encodeText)

/** Returns the containers of a Pod that have a log, each with whether it was started before. */
const containersOf = (object: KubernetesObject) =>
  Option.match(Result.getSuccess(Schema.decodeUnknownResult(Pod)(object)), {
    onNone: () => [],
    onSome: ({ status }) =>
      [...status?.initContainerStatuses ?? [], ...status?.containerStatuses ?? []].filter((container) => !neverStarted(container))
        .map(({ lastState, name }) => ({ name, before: lastState?.terminated !== undefined }))
  })

const neverStarted = ({ lastState, state }: ContainerStatus) =>
  state?.running === undefined && state?.terminated === undefined && lastState?.terminated === undefined

/** Returns the list of Pods, which is read first, and then the logs of those that were in it. */
const podsAndLogs = (kubernetes: Kubernetes["Service"], folder: string, namespace: string, ...selectors: ReadonlyArray<string>) => {
  const seen: Array<{ readonly pod: string; readonly containers: ReturnType<typeof containersOf> }> = []
  const list = Stream.fromIterable(selectors).pipe(
    Stream.flatMap((labelSelector) => kubernetes.listAll(pods, { namespace, labelSelector })),
    Stream.tap((object) => Effect.sync(() => seen.push({ pod: object.metadata.name, containers: containersOf(object) })))
  )
  const log = (pod: string, container: string, previous: boolean) => ({
    path: `${folder}/logs/${pod}/${container}${previous ? ".previous" : ""}.log`,
    content: readable(kubernetes.logs({ namespace, name: pod }, { container, previous }))
  })
  const logs = Stream.suspend(() =>
    Stream.fromIterable(
      seen.flatMap(({ containers, pod }) =>
        containers.flatMap(({ before, name }) => [...(before ? [log(pod, name, true)] : []), log(pod, name, false)])
      )
    )
  )
  return Stream.concat(Stream.make({ path: `${folder}/pods.yaml`, content: documents(list) }), logs)
}

const objectsOf = (kubernetes: Kubernetes["Service"], path: string, kind: Kind, selection: Selection) =>
  Stream.make({ path, content: documents(kubernetes.listAll(kind, selection)) })

const ofCluster = (kubernetes: Kubernetes["Service"], { controllerNamespace, name }: BundleRequest, namespace: string) => {
  const [ours, component] = ["app.kubernetes.io/name=agent-job", "app.kubernetes.io/component"]
  const named = `${ours},app.kubernetes.io/instance=${name},${component}!=task,${component}!=server`
  const server = `${ours},${component}=server` // which keeps its own name where an overlay gives the installation another one
  return podsAndLogs(kubernetes, "installation", controllerNamespace, named, server).pipe(
    Stream.concat(objectsOf(kubernetes, "installation/events.yaml", events, { namespace: controllerNamespace })),
    Stream.concat(objectsOf(kubernetes, "tasks/tasks.yaml", agentTasks, { namespace })),
    Stream.concat(objectsOf(kubernetes, "tasks/jobs.yaml", jobs, { namespace, labelSelector: taskSelector })),
    Stream.concat(podsAndLogs(kubernetes, "tasks", namespace, taskSelector)),
    Stream.concat(namespace === controllerNamespace ? Stream.empty : objectsOf(kubernetes, "tasks/events.yaml", events, { namespace }))
  )
}

/** Streams a log as the server stored it. A server that is busy is asked again, so that not all later logs are missing. */
const storedLog = (server: Server, logUrl: string) =>
  Stream.paginate(0, (offset) =>
    Effect.map(
      patiently(server.log(logUrl, offset, 0), ({ why }) => why._tag === "Busy"),
      (bytes) => [[bytes], bytes.length === 0 ? Option.none() : Option.some(offset + bytes.length)]
    ))

/** Returns the logs of the newest runs, whose Pods may be gone. */
const ofServer = (server: Server) =>
  Effect.map(
    server.runs(Option.none(), Option.none()),
    ({ runs }) =>
      runs.slice(0, mostRuns).flatMap(({ id, removedAt, stages }) =>
        stages.filter(({ startedAt }) => startedAt !== undefined && removedAt === undefined).map(({ attempt, logUrl, stage }) => ({
          path: `runs/${id}/${stage}${attempt === 1 ? "" : `-${attempt}`}.log`,
          content: readable(storedLog(server, logUrl))
        }))
      )
  )

const instead = "give --name and --controller-namespace of the installation, or --namespace of its AgentTasks"

interface Missing {
  readonly path: string
  readonly error: { readonly message: string }
}

/** Returns where the AgentTasks are. Who may not read that in the values, which few may, gets those in the usual namespace. */
const taskNamespaceOf = ({ controllerNamespace, name, namespace }: BundleRequest) =>
  Option.isSome(namespace)
    ? Effect.succeed({ namespace: namespace.value, missing: [] })
    : installedTaskNamespace(name, controllerNamespace, instead).pipe(
      Effect.map((namespace) => ({ namespace, missing: [] })),
      Effect.catchTag("NotAllowed", (error) =>
        Effect.succeed({
          namespace: usualTaskNamespace,
          missing: [{ path: `AgentTasks outside of ${usualTaskNamespace}`, error }]
        }))
    )

const said = ({ error, path }: Missing): string => `${path}: ${error.message}`

/** Writes the archive, and says what is not in it. Fails with the first reason, and leaves no file, if nothing could be read. */
export const bundle = Effect.fn("bundle")(function*(request: BundleRequest, server: Option.Option<Server>) {
  const { controllerNamespace, file, force, name } = request
  const kubernetes = yield* Kubernetes
  const screen = yield* Screen
  const made = yield* DateTime.now
  const { missing: unknown, namespace } = yield* taskNamespaceOf(request)
  const missing: Array<Missing> = [...unknown]
  const inside: Array<Tar.Header> = [] // without the content, which may be large

  const entry = (path: string, content: string | Uint8Array) =>
    Tar.file(`agent-job-bundle/${path}`, content, { mode: 0o600, mtime: DateTime.toDateUtc(made) })
  const orMissing = <A, E extends { readonly message: string }, R>(path: string, read: Effect.Effect<A, E, R>) =>
    Effect.matchEffect(read, {
      onFailure: (error) => Effect.sync(() => void missing.push({ path, error })).pipe(Effect.as([])),
      onSuccess: (found) => Effect.succeed([found])
    })
  const read = Effect.fnUntraced(function*<E extends { readonly message: string }, R>({ content, path }: Part<E, R>) {
    yield* screen.status(`Reading ${path}`)
    const found = (yield* orMissing(path, endOf(content, mostBytes))).map((bytes) => entry(path, bytes))
    inside.push(...found.map(({ header }) => header))
    return found
  })
  const stored = Stream.unwrap(
    Option.match(server, {
      onNone: () => Effect.succeed(Stream.empty),
      onSome: (server) => Effect.map(orMissing("runs", ofServer(server)), (found) => Stream.fromIterable(found.flat()))
    })
  )
  const manifest = Effect.gen(function*() {
    if (inside.length === 0 && missing[0] !== undefined) return yield* Effect.fail(missing[0].error)
    return entry(
      "MANIFEST.txt",
      [
        `Made by agent-job ${programVersion} at ${DateTime.formatIso(made)}.`,
        `Installation ${name} in namespace ${controllerNamespace}; its AgentTasks are in namespace ${namespace}.`,
        Option.match(server, {
          onNone: () => "Logs of runs whose Pods are gone were not asked for, as no server was named (AGENT_JOB_URL).",
          onSome: ({ url }) => `The stored logs are of the newest ${mostRuns} runs of ${url}, whatever their pool.`
        }),
        `Of a longer file the last ${size(mostBytes)} are here. Values of variables, arguments and settings of backends are masked.`,
        "",
        "Inside:",
        ...inside.map((file) => `  ${file.path} (${size(file.size)})`),
        "",
        ...(missing.length === 0 ? ["Nothing is missing."] : ["Missing:", ...missing.map((one) => `  ${said(one)}`)]),
        ""
      ].join("\n")
    )
  })
  const entries = ofCluster(kubernetes, request, namespace).pipe(
    Stream.mapEffect(read),
    Stream.concat(Stream.mapEffect(stored, read)),
    Stream.flattenIterable,
    Stream.concat(Stream.fromEffect(manifest))
  )
  const written = yield* inOrder(writeTarGz(file, force, entries))
  const content = inside.reduce((sum, file) => sum + file.size, 0)
  yield* screen.line(`${file} has ${counted(inside.length, "file")}, ${size(content)} (${size(written)} compressed), and MANIFEST.txt.`)
  if (missing.length === 0) return
  yield* screen.line("Missing, as MANIFEST.txt says too:")
  for (const one of missing.slice(0, mostSaid)) yield* screen.line(`  ${said(one)}`)
  if (missing.length > mostSaid) yield* screen.line(`  and ${missing.length - mostSaid} more`)
})
