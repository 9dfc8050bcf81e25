// `agent-job overlay`: writes the Kustomize overlay that turns the base into what values files say.
// Invariant: kustomize builds from it what render prints for the same values, but for secrets that are recognised, by name or form.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Command } from "effect/cli"
import { shownPath } from "../files/input.ts"
import { installationFlags } from "../flags/settings.ts"
import { lazily } from "../terminal/lazily.ts"
import { forPeople } from "../terminal/with-screen.ts"
import { baseReference, overlayFlags } from "../values/base-reference.ts"
import { valuesFlag, valuesOver } from "../values/values-flag.ts"

const flags = { values: valuesFlag, ...overlayFlags, ...installationFlags }

export const overlay = Command.make(
  "overlay",
  flags,
  Effect.fn("overlay")(function*({ name, namespace, out, ...given }) {
    const base = yield* baseReference(given.base, out)
    return yield* lazily(async () => {
      const [{ contentsOf }, { keepOnlyCopies }, { writeOverlay }, { Screen }, { makeSecret }, { shellWord }] = await Promise.all([
        import("../values/base-contents.ts"),
        import("../values/only-copies.ts"),
        import("../values/write-overlay.ts"),
        import("../terminal/screen.ts"),
        import("../../core/text/make-secret.ts"),
        import("../../core/text/shell-word.ts")
      ])
      return Effect.gen(function*() {
        const { line } = yield* Screen
        const contents = yield* contentsOf(base, out)
        const { layers, values } = yield* valuesOver(given.values, contents.layers)
        yield* keepOnlyCopies(layers, out)
        const { files, hints, namespaces, otherSecrets, secret } = yield* writeOverlay({
          values,
          name,
          namespace,
          base,
          contents,
          out,
          withoutCrd: given.withoutCrd
        })
        yield* line(`Wrote ${shownPath(out)}: ${files.join(", ")}`)
        if (secret !== undefined) {
          yield* line(
            `The token is in none of them. Make its Secret, with the token on standard input: ${
              makeSecret(namespace, secret.name, { [secret.key]: "/dev/stdin" })
            }`
          )
        }
        yield* Effect.forEach(otherSecrets, (told) => line(told))
        const first = [
          `namespace ${namespaces.join(" and ")}`,
          ...(given.withoutCrd || !contents.definition ? ["the CustomResourceDefinition of the newest installation (kustomize/crd)"] : [])
        ]
        yield* line(`Install it, once there is ${first.join(" and ")}, with: kubectl apply --server-side -k ${shellWord(shownPath(out))}`)
        yield* Effect.forEach(hints, (hint) => line(hint))
      }).pipe(Effect.provide(Screen.layer(forPeople)))
    })
  })
).pipe(
  Command.withDescription("Write values files as a Kustomize overlay."),
  Command.withExamples([
    { command: "agent-job overlay -f values.yaml --out overlays/mine", description: "Beside a checkout" },
    {
      command: "agent-job overlay -f values.yaml --out mine --base https://git.example.com/tools/agent-job//kustomize/base?ref=v0.1.0",
      description: "With a pinned remote base"
    }
  ])
)
