// What a Flux source has to offer at the moment: its artifact, or a sentence that says why there is none to use.
// The artifact is never taken while its source is not ready or Flux has not seen the source's newest spec: it may be of another branch.
// Used by the parts of the controller that read or await a source, and by core/reconcile/situation.
import { Option, Schema } from "effect"
import type { FluxObject } from "../../schema/kubernetes/kubernetes.ts"
import { Sha256 } from "../../schema/names.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { Artifact, type FluxSource } from "../../schema/task/source.ts"
import { SourceSeen } from "../task/observed.ts"
import { inLine } from "../text/in-line.ts"
import { harmless, sentence } from "../text/sentence.ts"

/**
 * Reports whether the task's artifact may still be chosen. The claim fixes it, and so does the first launch once the artifact is written
 * down.
 */
export const isUnpinned = ({ spec, status }: AgentTask): boolean =>
  spec.source.fluxSource !== undefined && status.claim === undefined && (status.source === undefined || (status.launches ?? 0) === 0)

/** Reports whether the task's status says that it waits for its source. Such a task takes no turn from others until the source is ready. */
export const waitsForSource = (task: AgentTask): boolean => isUnpinned(task) && task.status.queue?.reason === "SourceNotReady"

const decodeArtifact = Schema.decodeUnknownOption(Artifact)
const isSha256 = Schema.is(Sha256)

/** Returns words of Flux, which may repeat what a Git server has sent, of several lines and with what a terminal obeys. */
const wordsOf = (said: string): string => harmless(inLine(said))

const notReady = (message: string, changed = false) => SourceSeen.NotReady({ message, changed })

/** Returns what is seen of a source whose kind is not served. Flux serves all three kinds in this version since 2.6. */
export const unserved = (kind: FluxSource["kind"]): SourceSeen =>
  notReady(`The cluster does not serve ${kind} of source.toolkit.fluxcd.io/v1; install Flux, 2.6 or later.`)

export const sourceSeen = ({ kind, name }: FluxSource, found: Option.Option<FluxObject>): SourceSeen => {
  const named = `${kind} ${name}`
  if (Option.isNone(found)) return notReady(`There is no ${named} in the namespace of the task; make it, or correct source.fluxSource.`)
  const { metadata, spec, status } = found.value
  const changed = (status?.observedGeneration ?? 0) < (metadata.generation ?? 1)
  if (spec?.suspend === true) return notReady(`${named} is suspended, so nothing new starts from it; resume it to go on.`, changed)
  const ready = status?.conditions?.find(({ type }) => type === "Ready")
  if (ready !== undefined && ready.status !== "True") {
    return notReady(sentence(`${named} is not ready: ${wordsOf(ready.message ?? ready.reason ?? "Flux does not say why")}`), changed)
  }
  if (ready === undefined || changed) return notReady(`Flux has not looked at ${named} yet.`, changed)
  if (status?.artifact === undefined) return notReady(`${named} has no artifact yet.`)
  const { digest = "", revision, url } = status.artifact
  const sha256 = digest.replace(/^sha256:/u, "")
  if (!isSha256(sha256)) {
    return notReady(`The artifact of ${named} has no SHA-256 digest (${wordsOf(digest.slice(0, 80))}); let source-controller make one.`)
  }
  return Option.match(decodeArtifact({ revision, url, sha256 }), {
    onNone: () => notReady(`The revision of ${named}, or the URL of its artifact, is too long; shorten the name of its branch or tag.`),
    onSome: (artifact) => SourceSeen.Ready({ artifact })
  })
}
