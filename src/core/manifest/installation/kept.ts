// Annotations that keep Flux and Argo CD from deleting an object when it leaves Git, or when the Kustomization or Application is deleted.
// A person who wants the object gone deletes it by hand.
// Used by core/manifest/installation/crd, core/manifest/installation/volume-claim and generate/components/namespaces.
export const kept: Readonly<Record<string, string>> = {
  "kustomize.toolkit.fluxcd.io/prune": "disabled",
  "argocd.argoproj.io/sync-options": "Prune=false,Delete=false"
}
