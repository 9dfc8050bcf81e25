// Where a task's configuration comes from: exactly one of these sources, and which artifact was taken from a source of Flux.
// The digest decides: two revisions with the same content are one.
// Used by schema/task/agent-task.ts; a Flux source is read by core/reconcile/flux-source.ts.
import { Schema } from "effect"
import { ObjectName, Sha256 } from "../names.ts"
import { text } from "../text.ts"
import { textMap } from "./text-map.ts"

/** What a new artifact of the source starts once the attempt before it has ended. */
export const OnChange = Schema.Literals(["none", "plan", "planAndApply"])
export type OnChange = typeof OnChange.Type

export const FluxSource = Schema.Struct({
  kind: Schema.Literals(["GitRepository", "OCIRepository", "Bucket"]).annotate({ description: "The kind of the source." }),
  name: ObjectName.annotate({ description: "In the namespace of the task." }),
  path: Schema.optionalKey(text(512).annotate({ description: "Directory of the artifact that counts as the root of the source." })),
  onChange: Schema.optionalKey(
    OnChange.annotate({
      description:
        "plan: each new artifact is planned by a new AgentTask; planAndApply: and that plan is applied without a question; absent: none."
    })
  )
})
export type FluxSource = typeof FluxSource.Type

/** What was taken from a Flux source. */
export const Artifact = Schema.Struct({
  revision: text(512).annotate({ description: "Its revision as Flux writes it, such as main@sha1:… of a commit." }),
  url: text(2048).annotate({ description: "Where the worker fetches it, within the cluster." }),
  sha256: Sha256.annotate({ description: "SHA-256 of the tar.gz, in lowercase hex." })
})
export type Artifact = typeof Artifact.Type

/** The name of a PersistentVolumeClaim on which plans are kept between stages. The runner of such a task does not mount it. */
const claimName = ObjectName.annotate({ description: "A PersistentVolumeClaim of the same namespace, which the worker alone mounts." })

export const SavePlan = Schema.Struct({ claimName })
const SavedPlan = Schema.Struct({ claimName, sha256: Sha256.annotate({ description: "The planDigest in the status of the plan." }) })

export const sources = {
  inline: Schema.optionalKey(
    textMap({ count: 64, key: 512, value: 262_144 }).annotate({
      description: "File name to content; for small configurations."
    })
  ),
  archive: Schema.optionalKey(
    Schema.Struct({
      url: text(2048).annotate({ description: "Where the worker fetches it, with http or https and without user and password." }),
      sha256: Sha256.annotate({ description: "SHA-256 of the tar.gz, in lowercase hex." })
    }).annotate({ description: "A tar.gz of the configuration, checked against its digest before it is unpacked." })
  ),
  configMap: Schema.optionalKey(
    Schema.Struct({ name: ObjectName.annotate({ description: "In the namespace of the task." }) }).annotate({
      description: "A ConfigMap of the same namespace; each key is a file."
    })
  ),
  fluxSource: Schema.optionalKey(
    FluxSource.annotate({
      description: "The artifact that a source of Flux has when the Job is created; checked against its digest before it is unpacked."
    })
  ),
  savedPlan: Schema.optionalKey(
    SavedPlan.annotate({
      description: "What savePlan kept: an approved plan, its lock file and its configuration; it is applied, and nothing else."
    })
  ),
  pool: Schema.optionalKey(
    Schema.Struct({ archiveSha256: Sha256.annotate({ description: "SHA-256 of the archive, in lowercase hex." }) }).annotate({
      description: "The pool gives the archive to the holder of the task's token."
    })
  )
}
