// Values files that must be refused, each for one reason, and the key that the message must name.
// Invariant: the rest of each file is generated and would be accepted.
// Used by generate.ts and cases.test.ts.
import { fileOf, type Tree } from "./chart-values.ts"
import type { Choices } from "./choices.ts"
import { generatedGiven, keys } from "./generated-values.ts"

interface Mistake {
  readonly about: string
  /** Values by key, which are added to the generated ones or replace them. */
  readonly given: Tree
  readonly keyPath: string
  readonly mentions?: ReadonlyArray<string>
  /** Keys to leave out of the rest of the file, because they would hide the mistake. */
  readonly without?: ReadonlyArray<string>
}

/** Returns the mistake of giving `key` this value. */
const at = (about: string, key: string, value: unknown, mentions?: ReadonlyArray<string>): Mistake => ({
  about,
  given: { [key]: value },
  keyPath: key,
  ...(mentions !== undefined && { mentions })
})

const letterDoubled = ({ below, oneOf }: Choices): string => {
  const key = oneOf(["agent.dataDir", ...keys.filter((key) => !/env|Env|nodeSelector|Annotations|labels/u.test(key))])
  const start = key.lastIndexOf(".") + 1
  const place = start + below(key.length - start)
  return `${key.slice(0, place)}${key[place]}${key.slice(place)}`
}

const letterMistake = (choices: Choices): Mistake => at("a letter is doubled", letterDoubled(choices), "x")

const mistakes: ReadonlyArray<(choices: Choices) => Mistake> = [
  letterMistake,
  ({ oneOf }) =>
    at(
      "not a whole number",
      oneOf(["task.job.backoffLimit", "controller.terminationGracePeriodSeconds", "serviceAccount.tokenTTL"]),
      oneOf(["two", 1.5, "3", true])
    ),
  ({ oneOf }) =>
    at(
      "neither true nor false",
      oneOf(["persistence.enabled", "serviceAccount.create", "restrictMetadataService"]),
      oneOf(["on", 1, "true"])
    ),
  ({ oneOf }) =>
    at("not a list", oneOf(["task.tolerations", "global.imagePullSecrets", "task.sidecars"]), oneOf(["spot", { key: "spot" }])),
  ({ oneOf }) => at("not a map", oneOf(["controller.nodeSelector", "agent.extraEnv", "task.podAnnotations"]), oneOf([["a"], "a=b", 4])),
  ({ oneOf }) =>
    at(
      "less than nothing",
      oneOf(["task.job.ttlSecondsAfterFinished", "task.job.backoffLimit", "task.terminationGracePeriodSeconds"]),
      oneOf([-1, -60])
    ),
  ({ oneOf }) =>
    at(
      "not a quantity",
      oneOf(["persistence.emptyDir.sizeLimit", "persistence.persistentVolumeClaim.storage"]),
      oneOf(["12 GiB", "4gb", "much", "-1Gi"])
    ),
  ({ oneOf }) =>
    at("a pull policy that is none", oneOf(["agent.image.pullPolicy", "task.runner.image.pullPolicy"]), oneOf(["always", "OnDemand"])),
  ({ oneOf }) => at("an access mode that is none", "persistence.persistentVolumeClaim.accessMode", oneOf(["RWX", "readWriteMany"])),
  ({ oneOf }) =>
    at("no key of an annotation", oneOf(["global.podAnnotations", "serviceAccount.annotations"]), { "not a key": "x" }, ["not a key"]),
  ({ oneOf }) => at("no value of a label", "serviceAccount.labels", { tier: oneOf(["front end", "-a", "b".repeat(64)]) }, ["tier"]),
  () => ({
    about: "a token, and a Secret with one",
    given: { "agent.token": "t", "agent.tokenExistingSecret.name": "s" },
    keyPath: "agent.token"
  }),
  ({ oneOf }) => at("a token that lives too short", "serviceAccount.tokenTTL", oneOf([0, 599])),
  ({ oneOf }) => ({
    ...at("a mount of nothing", oneOf(["task.worker.extraVolumeMounts", "task.runner.extraVolumeMounts"]), [{
      name: "nowhere",
      mountPath: "/n"
    }], ["nowhere"]),
    without: ["task.extraVolumes", "task.worker.extraVolumeMounts", "task.runner.extraVolumeMounts"]
  })
]

export interface Refusable {
  readonly file: Tree
  readonly keyPath: string
  readonly why: string
  readonly mentions?: ReadonlyArray<string>
}

export const countOfMistakes = mistakes.length

/** Returns a generated file with the mistake of this number. */
export const refusable = (choices: Choices, number: number): Refusable => {
  const { about, given, keyPath, mentions, without = [] } = (mistakes[number % mistakes.length] ?? letterMistake)(choices)
  const rest = Object.entries(generatedGiven(choices, [], 12)).filter(([key]) => !without.includes(key) && !key.startsWith(`${keyPath}.`))
  return { file: fileOf({ ...Object.fromEntries(rest), ...given }), keyPath, why: about, ...(mentions !== undefined && { mentions }) }
}
