// Values files from a seed: with the keys that must be there, others by chance, and the keys that those need.
// Invariant: no file contradicts itself, every key in it has an effect, and a pool token is always given.
// Used by refusals.ts, generate.ts and cases.test.ts.
import { alternatives } from "./alternatives.ts"
import { fileOf, type Tree } from "./chart-values.ts"
import type { Choices } from "./choices.ts"

export const keys: ReadonlyArray<string> = Object.keys(alternatives)

interface Beside {
  readonly needs?: ReadonlyArray<string>
  readonly excludes?: ReadonlyArray<string>
}

const claim = "persistence.persistentVolumeClaim"
const ofMadeClaim: Beside = { needs: ["persistence.enabled"], excludes: [`${claim}.claimName`] }
const ofMadeAccount: Beside = { excludes: ["serviceAccount.create"] }

const beside: Readonly<Record<string, Beside>> = {
  "agent.securityContext.privileged": { needs: ["agent.securityContext.allowPrivilegeEscalation"] },
  "agent.token": { excludes: ["agent.tokenExistingSecret.name"] },
  "agent.tokenExistingSecret.key": { needs: ["agent.tokenExistingSecret.name"], excludes: ["agent.token"] },
  "agent.tokenExistingSecret.name": { excludes: ["agent.token"] },
  nameOverride: { excludes: ["fullnameOverride"] },
  "persistence.emptyDir.sizeLimit": { excludes: ["persistence.enabled"] },
  [`${claim}.accessMode`]: ofMadeClaim,
  [`${claim}.claimName`]: { needs: ["persistence.enabled"] },
  [`${claim}.storage`]: ofMadeClaim,
  [`${claim}.storageClassName`]: ofMadeClaim,
  [`${claim}.subPath`]: { needs: ["persistence.enabled"] },
  "serviceAccount.annotations": ofMadeAccount,
  "serviceAccount.labels": ofMadeAccount,
  "task.runner.extraVolumeMounts": { needs: ["task.extraVolumes"] },
  "task.runner.securityContext.privileged": { needs: ["task.runner.securityContext.allowPrivilegeEscalation"] },
  "task.worker.extraVolumeMounts": { needs: ["task.extraVolumes"] }
}

/** Returns the wanted keys, each with the keys that it needs; one that contradicts an earlier one is left out. */
const fitting = (wanted: ReadonlyArray<string>): ReadonlySet<string> => {
  const chosen = new Set<string>()
  const excluded = new Set<string>()
  for (const key of wanted) {
    const { excludes = [], needs = [] } = beside[key] ?? {}
    const together = [key, ...needs]
    const all = [...excludes, ...needs.flatMap((need) => beside[need]?.excludes ?? [])]
    if (together.some((_) => excluded.has(_)) || all.some((_) => chosen.has(_))) continue
    for (const _ of together) chosen.add(_)
    for (const _ of all) excluded.add(_)
  }
  return chosen
}

/** Returns values by key: for the keys in `must`, and for each other key once in `othersOnceIn` times. */
export const generatedGiven = (choices: Choices, must: ReadonlyArray<string>, othersOnceIn: number): Tree => {
  const chosen = fitting([
    ...must,
    ...keys.filter((key) => !must.includes(key) && choices.oneIn(othersOnceIn)),
    choices.oneOf(["agent.token", "agent.tokenExistingSecret.name"])
  ])
  const withToken = chosen.has("agent.token") || chosen.has("agent.tokenExistingSecret.name") ? chosen : [...chosen, "agent.token"]
  return Object.fromEntries([...withToken].sort().map((key) => [key, alternatives[key]?.(choices, key)]))
}

export const generatedFile = (choices: Choices, must: ReadonlyArray<string> = [], othersOnceIn = 6): Tree =>
  fileOf(generatedGiven(choices, must, othersOnceIn))

export const generatedRelease = ({ oneOf }: Choices): { readonly name: string; readonly namespace: string } => ({
  name: oneOf(["scalr-agent", "blue", "team.a", "x", "agents-of-the-platform-team-in-the-region-of-frankfurt-am-main"]),
  namespace: oneOf(["runs", "platform-1", "default"])
})
