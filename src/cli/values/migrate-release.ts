// Reads a Helm release from the cluster, writes the overlay for its values, and describes the move in a page beside it.
// Used by cli/commands/migrate.ts.
import { Effect, Option } from "effect"
import { type Image, imageOf, withServerOf } from "../../core/migration/chosen.ts"
import { move } from "../../core/migration/move.ts"
import { report } from "../../core/migration/report.ts"
import { textAt } from "../../core/resolve/tree-path.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { shownPath } from "../files/input.ts"
import { BadInput } from "../terminal/failure.ts"
import { Screen } from "../terminal/screen.ts"
import { contentsOf } from "./base-contents.ts"
import type { Base } from "./base-reference.ts"
import { helmRelease } from "./helm-release.ts"
import { pageMark } from "./overlay-files.ts"
import { writeOverlay } from "./write-overlay.ts"

export interface MigrateOptions {
  readonly release: string
  readonly namespace: Option.Option<string>
  readonly image: Option.Option<string>
  readonly runnerImage: Option.Option<string>
  readonly url: Option.Option<string>
  readonly base: Base
  readonly out: string
  readonly withoutCrd: boolean
}

const image = (flag: string, given: Option.Option<string>): Effect.Effect<Image, BadInput> => {
  if (Option.isNone(given)) {
    return Effect.fail(
      new BadInput({
        message:
          "No image of the chart can run here, since its agent is another program; build both images with make image, and name them with --image and --runner-image."
      })
    )
  }
  const named = imageOf(given.value)
  return named === undefined
    ? Effect.fail(
      new BadInput({ message: `--${flag} ${given.value} is no image with its tag; write it like registry.example.com/agent-job:0.1.0.` })
    )
    : Effect.succeed(named)
}

const unusable = (place: string, problems: ReadonlyArray<string>) =>
  new BadInput({
    message: [
      `The values of the Helm release ${place} cannot be used here; correct them in the release, or in a file (helm get values -o yaml) for agent-job overlay:`,
      ...problems.map((_) => `  ${_}`)
    ].join("\n")
  })

export const migrateRelease = Effect.fn("migrateRelease")(
  function*({ base, namespace, out, release: name, url, withoutCrd, ...given }: MigrateOptions) {
    const named = {
      image: yield* image("image", given.image),
      runnerImage: yield* image("runner-image", given.runnerImage),
      ...(Option.isSome(url) && { url: url.value })
    }
    const kubernetes = yield* Kubernetes
    const { line } = yield* Screen
    const release = yield* helmRelease(Option.getOrElse(namespace, () => kubernetes.namespace), name)
    const contents = yield* contentsOf(base, out)
    const chosen = withServerOf(contents.layers, release.config, { ...named, withoutCrd: withoutCrd || !contents.definition })
    if (contents.unreadPool && chosen.url === undefined && textAt(release.config, "agent.url") === "") {
      return yield* new BadInput({
        message:
          "The base takes work from a server by component pool, and which one cannot be read here, and the release names none; name it with --url, so that it does not get the token of the release."
      })
    }
    const moved = yield* Effect.mapError(
      Effect.fromResult(move(release, chosen, contents.layers)),
      (problems) => unusable(`${release.namespace}/${name}`, problems)
    )
    const page = report(moved, shownPath(out))
    const more = { "MIGRATION.md": `<!-- ${pageMark} -->\n${page}` }
    const { hints, otherSecrets } = yield* writeOverlay({
      values: moved.values,
      name,
      namespace: release.namespace,
      base,
      contents,
      out,
      withoutCrd,
      more
    })
    yield* line(page.trimEnd())
    yield* line("")
    yield* line(`Wrote ${shownPath(out)}, with this as MIGRATION.md.`)
    yield* Effect.forEach([...otherSecrets, ...hints], (told) => line(told)) // such as a secret in a default of the chart, that no step makes
  }
)
