{{- /* What the values change in the documents that the kustomizations have given. */ -}}

{{- define "inference.values" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $state := .state -}}
{{- include "inference.settings" . -}}
{{- include "inference.qdrant" . -}}
{{- include "inference.ledger" . -}}
{{- range $entry := $state.documents -}}
{{- $document := $entry.document -}}
{{- $name := $document.metadata.name -}}
{{- $arguments := dict "root" $root "state" $state "document" $document -}}
{{- if eq $document.kind "Namespace" -}}
{{- $_ := set $document.metadata "name" $root.Release.Namespace -}}
{{- $_ := set $entry "deleted" (not $values.createNamespace) -}}
{{- else -}}
{{- $_ := set $document.metadata "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- if eq $document.kind "RayService" -}}
{{- include "inference.rayService" $arguments -}}
{{- else if eq $document.kind "StatefulSet" -}}
{{- include "inference.statefulSet" $arguments -}}
{{- else if eq $document.kind "PersistentVolumeClaim" -}}
{{- include "inference.claim" (dict "claim" $document "storage" (get $values.storage $name | default dict)) -}}
{{- else if eq $document.kind "Ingress" -}}
{{- with $values.ingress.className }}{{ $_ := set $document.spec "ingressClassName" . }}{{ end -}}
{{- with $values.ingress.annotations -}}
{{- $_ := set $document.metadata "annotations" (merge (deepCopy .) ($document.metadata.annotations | default dict)) -}}
{{- end -}}
{{- else if eq $document.kind "Gateway" -}}
{{- with $values.gateway.className }}{{ $_ := set $document.spec "gatewayClassName" . }}{{ end -}}
{{- else if eq $document.kind "Certificate" -}}
{{- $_ := set $document.spec "issuerRef" (merge (deepCopy $values.issuerRef) $document.spec.issuerRef) -}}
{{- else if eq $document.kind "ExternalSecret" -}}
{{- $_ := set $document.spec "secretStoreRef" (merge (deepCopy $values.secretStoreRef) $document.spec.secretStoreRef) -}}
{{- $_ := set $document.spec.target "name" (get $values.secrets $document.spec.target.name | default $document.spec.target.name) -}}
{{- else if or (eq $document.kind "PodMonitor") (eq $document.kind "PrometheusRule") -}}
{{- with $values.monitoring.labels }}{{ $_ := set $document.metadata "labels" . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The addresses and places of all Ray pods. The name has a hash, so that a change starts a new cluster beside the old one. */ -}}
{{- define "inference.settings" -}}
{{- $data := .state.settings -}}
{{- range $key, $value := .root.Values.settings }}{{ $_ := set $data $key (toString $value) }}{{ end -}}
{{- with .root.Values.catalogue }}{{ $_ := set $data "CATALOGUE" . }}{{ end -}}
{{- if not .root.Values.qdrant.enabled -}}
{{- $_ := set $data "QDRANT_URL" (required "qdrant.url, of your Qdrant" .root.Values.qdrant.url) -}}
{{- $_ := set $data "QDRANT_GRPC_URL" (required "qdrant.grpcUrl, of your Qdrant" .root.Values.qdrant.grpcUrl) -}}
{{- end -}}
{{- $name := printf "settings-%s" (toJson $data | sha256sum | trunc 10) -}}
{{- $_ := set .state "settingsName" $name -}}
{{- $document := dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" (dict "name" $name) "data" $data -}}
{{- include "inference.append" (dict "state" .state "document" $document) -}}
{{- end -}}

{{- define "inference.qdrant" -}}
{{- if not .root.Values.qdrant.enabled -}}
{{- include "inference.patch" (dict "state" .state "target" (dict "name" "qdrant|qdrant-headless" "kind" "Service|StatefulSet|NetworkPolicy|PodDisruptionBudget") "patch" "$patch: delete") -}}
{{- $peers := required "qdrant.egress, the way to your Qdrant" .root.Values.qdrant.egress -}}
{{- range .state.documents -}}
{{- if and (eq .document.kind "NetworkPolicy") (eq .document.metadata.name "ray-to-qdrant") -}}
{{- $_ := set (first .document.spec.egress) "to" $peers -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "inference.ledger" -}}
{{- $ledger := .root.Values.ledger -}}
{{- with $ledger.url -}}
{{- $name := get $.root.Values.secrets "ledger" | default "ledger" -}}
{{- $secret := dict "apiVersion" "v1" "kind" "Secret" "metadata" (dict "name" $name) "stringData" (dict "url" .) -}}
{{- include "inference.append" (dict "state" $.state "document" $secret) -}}
{{- end -}}
{{- with $ledger.egress -}}
{{- $rule := dict "to" . "ports" (list (dict "port" $ledger.port)) -}}
{{- $spec := dict "podSelector" (dict "matchLabels" (dict "ray.io/is-ray-node" "yes")) "policyTypes" (list "Egress") "egress" (list $rule) -}}
{{- $policy := dict "apiVersion" "networking.k8s.io/v1" "kind" "NetworkPolicy" "metadata" (dict "name" "ledger") "spec" $spec -}}
{{- include "inference.append" (dict "state" $.state "document" $policy) -}}
{{- end -}}
{{- end -}}

{{- define "inference.rayService" -}}
{{- $values := .root.Values -}}
{{- $spec := .document.spec -}}
{{- $_ := set $spec "serveConfigV2" (include "inference.serveConfig" .) -}}
{{- with $values.annotations }}{{ $_ := set $.document.metadata "annotations" . }}{{ end -}}
{{- $cluster := $spec.rayClusterConfig -}}
{{- include "inference.secretNames" (dict "values" $values "env" (list $cluster.gcsFaultToleranceOptions.redisPassword)) -}}
{{- include "inference.group" (dict "root" .root "state" .state "group" $cluster.headGroupSpec "wanted" $values.pods.head) -}}
{{- range $group := $cluster.workerGroupSpecs -}}
{{- $wanted := get $values.pods $group.groupName -}}
{{- range tuple "replicas" "minReplicas" "maxReplicas" -}}
{{- if hasKey $wanted . }}{{ $_ := set $group . (get $wanted .) }}{{ end -}}
{{- end -}}
{{- include "inference.group" (dict "root" $.root "state" $.state "group" $group "wanted" $wanted) -}}
{{- end -}}
{{- end -}}

{{- define "inference.group" -}}
{{- range $key, $value := .wanted.rayStartParams }}{{ $_ := set $.group.rayStartParams $key (toString $value) }}{{ end -}}
{{- include "inference.pod" (dict "root" .root "state" .state "pod" .group.template "wanted" .wanted) -}}
{{- end -}}

{{- define "inference.statefulSet" -}}
{{- $name := .document.metadata.name -}}
{{- $values := .root.Values -}}
{{- $wanted := get $values.pods $name -}}
{{- if hasKey $wanted "replicas" }}{{ $_ := set .document.spec "replicas" $wanted.replicas }}{{ end -}}
{{- include "inference.pod" (dict "root" .root "state" .state "pod" .document.spec.template "wanted" $wanted) -}}
{{- range .document.spec.volumeClaimTemplates -}}
{{- include "inference.claim" (dict "claim" . "storage" (get $values.storage $name | default dict)) -}}
{{- end -}}
{{- end -}}

{{- /* A pod's template: where it runs, what it gets, its images, and the names of what it reads. */ -}}
{{- define "inference.pod" -}}
{{- $spec := .pod.spec -}}
{{- $wanted := .wanted -}}
{{- range $key := tuple "affinity" "priorityClassName" "runtimeClassName" "topologySpreadConstraints" -}}
{{- with get $wanted $key }}{{ $_ := set $spec $key . }}{{ end -}}
{{- end -}}
{{- with $wanted.nodeSelector }}{{ $_ := set $spec "nodeSelector" (merge (deepCopy .) ($spec.nodeSelector | default dict)) }}{{ end -}}
{{- range $key := tuple "tolerations" "volumes" -}}
{{- with get $wanted $key }}{{ $_ := set $spec $key (concat (get $spec $key | default list) .) }}{{ end -}}
{{- end -}}
{{- range $key := tuple "annotations" "labels" -}}
{{- with get $wanted $key -}}
{{- $_ := set $.pod.metadata $key (merge (deepCopy .) (get $.pod.metadata $key | default dict)) -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.imagePullSecrets }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end -}}
{{- $main := first $spec.containers -}}
{{- with $wanted.resources }}{{ $_ := set $main "resources" . }}{{ end -}}
{{- with $wanted.env }}{{ $_ := set $main "env" (concat ($main.env | default list) .) }}{{ end -}}
{{- range $container := concat ($spec.initContainers | default list) $spec.containers -}}
{{- $_ := set $container "image" (include "inference.image" (dict "root" $.root "state" $.state "image" $container.image)) -}}
{{- with $wanted.volumeMounts }}{{ $_ := set $container "volumeMounts" (concat ($container.volumeMounts | default list) .) }}{{ end -}}
{{- range $container.envFrom -}}
{{- if eq (dig "configMapRef" "name" "" .) "settings" }}{{ $_ := set .configMapRef "name" $.state.settingsName }}{{ end -}}
{{- end -}}
{{- include "inference.secretNames" (dict "values" $.root.Values "env" $container.env) -}}
{{- end -}}
{{- end -}}

{{- /* Existing secrets have the names that the values give them. */ -}}
{{- define "inference.secretNames" -}}
{{- range .env -}}
{{- $reference := dig "valueFrom" "secretKeyRef" dict . -}}
{{- with get $.values.secrets ($reference.name | default "") }}{{ $_ := set $reference "name" . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "inference.image" -}}
{{- $name := regexReplaceAll ":[^:/]*$" .image "" -}}
{{- $tag := trimPrefix ":" (trimPrefix $name .image) -}}
{{- $wanted := merge (dict) (get .root.Values.images $name | default dict) (get .state.images $name | default dict) -}}
{{- $from := .root.Values.registry -}}
{{- $path := $wanted.name | default $name -}}
{{- if $from }}{{ printf "%s/" (trimSuffix "/" $from) }}{{ end }}{{ $path }}:{{ $wanted.tag | default $tag -}}
{{- end -}}

{{- define "inference.claim" -}}
{{- with .storage.className }}{{ $_ := set $.claim.spec "storageClassName" . }}{{ end -}}
{{- with .storage.accessModes }}{{ $_ := set $.claim.spec "accessModes" . }}{{ end -}}
{{- with .storage.size }}{{ $_ := set $.claim.spec.resources.requests "storage" . }}{{ end -}}
{{- end -}}

{{- /* The file as it is, with its comments; only a catalogue or numbers of replicas of one's own make it anew. */ -}}
{{- define "inference.serveConfig" -}}
{{- $values := .root.Values -}}
{{- $text := $values.serveConfig | default (.root.Files.Get (printf "manifests/%s" .state.serveConfig)) -}}
{{- if or $values.models $values.catalogue -}}
{{- $config := fromYaml $text -}}
{{- $application := first $config.applications -}}
{{- with $values.catalogue }}{{ $_ := set $application.args "catalogue" . }}{{ end -}}
{{- range $name, $wanted := $values.models -}}
{{- $found := dict -}}
{{- range $application.deployments }}{{ if eq .name $name }}{{ $found = . }}{{ end }}{{ end -}}
{{- if not $found }}{{ fail (printf "models: the Serve config has no deployment %s" $name) }}{{ end -}}
{{- $_ := set $found "autoscaling_config" (merge (deepCopy $wanted) ($found.autoscaling_config | default dict)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- else -}}
{{- $text -}}
{{- end -}}
{{- end -}}
