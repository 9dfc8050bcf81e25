// Reads a Helm release from the cluster, writes the overlay for its values, and tells the move as a page beside it.
// Used by cli/migrate.ts.
import { Effect, Option } from "effect"
import { move } from "../core/migration/move.ts"
import { report } from "../core/migration/report.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import { type Base, shown } from "./base-reference.ts"
import { BadInput } from "./failure.ts"
import { helmRelease } from "./helm-release.ts"
import { mark } from "./overlay-files.ts"
import { Screen } from "./screen.ts"
import { writeOverlay } from "./write-overlay.ts"

export interface MigrateOptions {
  readonly release: string
  readonly namespace: Option.Option<string>
  readonly base: Base
  readonly out: string
}

const unusable = (place: string, problems: ReadonlyArray<string>) =>
  new BadInput({
    message: [
      `The values of the Helm release ${place} cannot be used here; correct them in the release, or in a file (helm get values -o yaml) for agent-job overlay:`,
      ...problems.map((_) => `  ${_}`)
    ].join("\n")
  })

export const migrateRelease = Effect.fn("migrateRelease")(function*({ base, namespace, out, release: name }: MigrateOptions) {
  const kubernetes = yield* Kubernetes
  const { line, text } = yield* Screen
  const release = yield* helmRelease(Option.getOrElse(namespace, () => kubernetes.namespace), name)
  const moved = yield* Effect.mapError(Effect.fromResult(move(release)), (problems) => unusable(`${release.namespace}/${name}`, problems))
  const page = report(moved, shown(out))
  const more = { "MIGRATION.md": `<!-- ${mark} -->\n${page}` }
  yield* writeOverlay({ values: moved.values, name, namespace: release.namespace, base, out, more })
  yield* text(page)
  yield* line("")
  yield* line(`Wrote ${shown(out)}, with this as MIGRATION.md.`)
})
