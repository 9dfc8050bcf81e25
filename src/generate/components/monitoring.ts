// The component `monitoring`: where Prometheus finds the metrics, its alerts, and a dashboard of Grafana.
// The rules are a plain file too, for a Prometheus without the operator and for promtool.
// Used by generate/components.
import { manifestYaml } from "../../cli/terminal/manifest-yaml.ts"
import { objectMetadata } from "../../core/manifest/object-metadata.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import type { Component } from "../files/component.ts"
import { mark } from "../files/file.ts"
import { groups } from "./alerts.ts"
import { dashboard } from "./dashboard.ts"

/** Keeps Flux from replacing variables. Grafana's own look like those of Flux, which fails on a variable without a value. */
const untouched = { "kustomize.toolkit.fluxcd.io/substitute": "disabled" }

const metadata = (config: ResolvedConfig) => objectMetadata(config, "controller", { name: config.name, namespace: config.namespace })

/**
 * Returns the monitor of both programs, each of which has one of the ports: the server https where it speaks TLS. Its certificate is not
 * checked, since Prometheus does not know its authority, and shows no token. It selects the installation in this namespace whatever its
 * name, because no overlay renames what a selector says.
 */
const podMonitor = (config: ResolvedConfig) => ({
  apiVersion: "monitoring.coreos.com/v1",
  kind: "PodMonitor",
  metadata: metadata(config),
  spec: {
    selector: {
      matchLabels: { "app.kubernetes.io/name": "agent-job" },
      matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: ["controller", "server"] }]
    },
    podMetricsEndpoints: [
      ...["health", "http"].map((port) => ({ port, path: "/metrics", interval: "30s" })),
      { port: "https", scheme: "https", tlsConfig: { insecureSkipVerify: true }, path: "/metrics", interval: "30s" }
    ]
  }
})

const prometheusRule = (config: ResolvedConfig) => ({
  apiVersion: "monitoring.coreos.com/v1",
  kind: "PrometheusRule",
  metadata: metadata(config),
  spec: { groups }
})

export const monitoring: Component = {
  name: "monitoring",
  does: "Metrics of controller and server for Prometheus, alerts with what to do, and a dashboard for Grafana.",
  adapt: [
    "Needs the Prometheus Operator: without its CRDs PodMonitor and PrometheusRule nothing of this can be applied. Where its Prometheus selects by labels, add those by a patch.",
    "The file rules.yaml has the rules alone, for a Prometheus without the operator, which scrapes `/metrics` of port 8081 of controllers and 8080 of the server, and docs/metrics.md says what each metric is. Grafana's sidecar finds the dashboard by the label grafana_dashboard.",
    "Installations are told apart by their namespace, and in a Prometheus of several clusters by the label cluster, which each cluster's metrics must have there.",
    "Where the rules of kube-prometheus are, KubePdbNotEnoughHealthyPods fires for the budget agent-job-changes for ever: docs/disruptions.md has the route that keeps it silent."
  ],
  objects: (config) => [podMonitor(config), prometheusRule(config)],
  configMaps: [{
    name: "agent-job-dashboard",
    namespace: "agent-job",
    files: ["dashboard.json"],
    options: { disableNameSuffixHash: true, labels: { grafana_dashboard: "1" }, annotations: untouched }
  }],
  files: { "dashboard.json": `${JSON.stringify(dashboard(), null, 2)}\n`, "rules.yaml": `# ${mark}\n${manifestYaml({ groups })}` }
}
