// Reads the values of an installation, and where they put its tasks, from the ConfigMap of its controller.
// Used by examination, draining, no-tasks and bundle.
import { Effect, Schema } from "effect"
import { valuesIn } from "../../controller/configuration/values-files.ts"
import { resolve } from "../../core/resolve/resolve.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { configMaps, decoding } from "../../kubernetes/kinds.ts"
import { BadInput, NotAllowed } from "../terminal/failure.ts"
import { unusable } from "./values-flag.ts"

const Data = Schema.Struct({ data: Schema.Record(Schema.String, Schema.String) })

/** Returns the values of the installation. `otherwise` ends the message of an error: it says what to type instead. */
export const installedValues = Effect.fnUntraced(function*(name: string, namespace: string, otherwise: string) {
  const place = { namespace, name: `${name}-config` }
  const kubernetes = yield* Kubernetes
  const { data } = yield* kubernetes.get(decoding(configMaps, Data), place).pipe(Effect.catchTags({
    NotFound: () => Effect.fail(new BadInput({ message: `There is no ConfigMap ${namespace}/${place.name}; ${otherwise}.` })),
    Forbidden: () =>
      Effect.fail(
        new NotAllowed({
          message:
            `You may not get ConfigMap ${namespace}/${place.name}, which has the values of the installation; ask for that, or ${otherwise}.`
        })
      )
  }))
  return yield* Effect.matchEffect(valuesIn(data), { onFailure: unusable, onSuccess: ({ values }) => Effect.succeed(values) })
})

/** Returns the namespace of the tasks by the values of the installation. `otherwise` is as above. */
export const installedTaskNamespace = (name: string, namespace: string, otherwise: string) =>
  Effect.map(
    installedValues(name, namespace, otherwise),
    (values) => resolve(values, { name, namespace }).taskNamespace
  )
