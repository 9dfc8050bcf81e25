// Where the chart breaks the promises of its own README, and for which values that shows.
// Used by generate.ts and cases.test.ts, so that each broken promise is in a committed case.
import type { ChartValues, Image, Variables } from "./chart-values.ts"
import type { Texts } from "./facts.ts"

const some = (map: object): boolean => Object.keys(map).length > 0
const hasBigNumber = (variables: Variables): boolean => Object.values(variables).some((value) => typeof value === "number" && value >= 1e6)
const isPartial = ({ pullPolicy, repository, tag }: Image): boolean => repository === "" && (tag !== "" || pullPolicy !== "")
const differs = (global: Texts, own: Texts): boolean => Object.entries(own).some(([key, value]) => key in global && global[key] !== value)

const promises: Readonly<Record<string, (values: ChartValues) => boolean>> = {
  "a task's Pod is restricted too": ({ restrictMetadataService }) => restrictMetadataService,
  "IPv6 stays open": ({ restrictMetadataService }) => restrictMetadataService,
  "the token is put into a Secret": ({ agent }) => agent.token !== "",
  "the component's annotation wins": ({ controller, global, task }) =>
    differs(global.podAnnotations, controller.podAnnotations) || differs(global.podAnnotations, task.podAnnotations),
  "global variables reach every container": ({ global }) => some(global.extraEnv),
  "a big number is written out": ({ agent, controller, global, task }) =>
    [agent, controller, global, task.worker, task.runner].some(({ extraEnv }) => hasBigNumber(extraEnv)),
  "further volumes are mounted": ({ task }) => task.extraVolumes.length > 0,
  "a dash is no storage class": ({ persistence: { enabled, persistentVolumeClaim: { claimName, storageClassName } } }) =>
    enabled && claimName === "" && storageClassName === "-",
  "a claim is made": ({ persistence: { enabled, persistentVolumeClaim: { claimName } } }) => enabled && claimName === "",
  "worker and runner share a volume": () => true,
  "the service account has the labels": ({ serviceAccount: { create, labels } }) => create && some(labels),
  "a tag or pull policy alone is taken": ({ controller, task }) => isPartial(controller.image) || isPartial(task.worker.image),
  "the full name is taken": ({ fullnameOverride }) => fullnameOverride !== ""
}

/** Broken if the release's name has more than 53 characters, which Helm itself refuses. */
const longName = "a long release name is cut"

export const allBroken: ReadonlyArray<string> = [...Object.keys(promises), longName]

export const brokenByChart = (
  values: ChartValues,
  release: string
): ReadonlyArray<string> => [
  ...Object.entries(promises).flatMap(([promise, holds]) => holds(values) ? [promise] : []),
  ...release.length > 53 ? [longName] : []
]
