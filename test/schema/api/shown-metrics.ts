// What a text of /metrics has that the table of metrics does not say, and what of the table it lacks.
// Used by the tests of the metrics of controller and server.
import { rows } from "../../../src/core/reconcile/plan.ts"
import { type MetricName, metrics } from "../../../src/schema/api/metrics.ts"
import { programVersion } from "../../../src/schema/program-version.ts"

const names = Object.keys(metrics).filter((name): name is MetricName => name in metrics)

const heads = names.flatMap((name) => [`# HELP ${name} ${metrics[name].description}`, `# TYPE ${name} ${metrics[name].type}`])

/** The values of the labels that the table describes in words. */
const described: Readonly<Record<string, ReadonlyArray<string>>> = {
  situation: [...rows.map(({ situation }) => situation), "its turn"],
  version: [programVersion]
}

/** Reports whether this is a series of the metric, with no label and no value of one that its row does not have. */
const isSeriesOf = (name: MetricName, line: string): boolean => {
  const { type, ...row } = metrics[name]
  const [, shown = "", labels = ""] = /^(\w+)(?:\{(.*)\})? [\d.e+]+$/u.exec(line) ?? []
  const isNamed = type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(shown) : shown === name
  const allowed: Readonly<Record<string, ReadonlyArray<string> | string>> = "labels" in row ? row.labels : {}
  return isNamed && [...labels.matchAll(/(\w+)="([^"]*)"/gu)].every(([, label = "", value = ""]) => {
    const values = allowed[label] ?? (type === "histogram" && label === "le" ? [value] : [])
    return (typeof values === "string" ? described[label] : values)?.includes(value)
  })
}

export const strangeIn = (text: string): ReadonlyArray<string> =>
  text.trimEnd().split("\n").filter((line) => !heads.includes(line) && !names.some((name) => isSeriesOf(name, line)))

/** Returns the metrics of the table of which the text has no series. */
export const missingIn = (text: string): ReadonlyArray<string> =>
  names.filter((name) => !text.split("\n").some((line) => isSeriesOf(name, line)))
