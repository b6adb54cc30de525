{{- /*
What a kustomization of this folder says, done to the documents in `state`: as much of kustomize as these files use, so that
the manifests are written once. `state.documents` has entries {document, deleted}.
*/ -}}

{{- /* A file of manifests/, with the hosts of the values. */ -}}
{{- define "inference.file" -}}
{{- $text := .root.Files.Get (printf "manifests/%s" .path) -}}
{{- if not $text }}{{ fail (printf "the chart has no %s" .path) }}{{ end -}}
{{- $hosts := .root.Values.hosts -}}
{{- $text | replace "grpc.inference.example.com" "@grpc@" | replace "inference.example.com" $hosts.rest | replace "@grpc@" $hosts.grpc -}}
{{- end -}}

{{- define "inference.kustomization" -}}
{{- $here := include "inference.file" (dict "root" .root "path" (printf "%s/kustomization.yaml" .folder)) | fromYaml -}}
{{- range $here.resources -}}
{{- if hasSuffix ".yaml" . -}}
{{- include "inference.load" (dict "root" $.root "state" $.state "path" (printf "%s/%s" $.folder .)) -}}
{{- end -}}
{{- end -}}
{{- range $here.configMapGenerator -}}
{{- if eq .name "settings" -}}
{{- range .literals -}}
{{- $pair := regexSplit "=" . 2 -}}
{{- $_ := set $.state.settings (first $pair) (last $pair) -}}
{{- end -}}
{{- else if not (hasKey (dig "options" "annotations" dict .) "config.kubernetes.io/local-config") -}}
{{- include "inference.configMap" (dict "root" $.root "state" $.state "folder" $.folder "generator" .) -}}
{{- end -}}
{{- end -}}
{{- range $here.images -}}
{{- $_ := set $.state.images .name (merge (dict "name" .newName "tag" .newTag) (get $.state.images .name | default dict)) -}}
{{- end -}}
{{- range $here.replacements -}}
{{- $file := .source.fieldPath | trimPrefix "data.[" | trimSuffix "]" -}}
{{- $own := printf "%s/%s" $.folder $file -}}
{{- $_ := set $.state "serveConfig" (ternary $own (printf "configs/%s" $file) (not (empty ($.root.Files.Get (printf "manifests/%s" $own))))) -}}
{{- end -}}
{{- range $here.patches -}}
{{- include "inference.patch" (dict "state" $.state "target" .target "patch" .patch) -}}
{{- end -}}
{{- end -}}

{{- define "inference.load" -}}
{{- range regexSplit "(?m)^---$" (include "inference.file" .) -1 -}}
{{- $document := fromYaml . -}}
{{- if $document.Error }}{{ fail (printf "%s: %s" $.path $document.Error) }}{{ end -}}
{{- include "inference.append" (dict "state" $.state "document" $document) -}}
{{- end -}}
{{- end -}}

{{- define "inference.append" -}}
{{- $_ := set .state "documents" (append .state.documents (dict "document" .document "deleted" false)) -}}
{{- end -}}

{{- define "inference.configMap" -}}
{{- $data := dict -}}
{{- range .generator.files -}}
{{- $_ := set $data . ($.root.Files.Get (printf "manifests/%s/%s" $.folder .)) -}}
{{- end -}}
{{- $metadata := dict "name" .generator.name -}}
{{- with dig "options" "labels" dict .generator }}{{ $_ := set $metadata "labels" . }}{{ end -}}
{{- $document := dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" $metadata "data" $data -}}
{{- include "inference.append" (dict "state" .state "document" $document) -}}
{{- end -}}

{{- /* A patch: a list of JSON patch's operations, or a document whose `$patch` is `delete`. */ -}}
{{- define "inference.patch" -}}
{{- $operations := list -}}
{{- $deletes := false -}}
{{- if hasPrefix "-" (trim .patch) -}}
{{- $operations = fromYamlArray .patch -}}
{{- else -}}
{{- $deletes = eq (get (fromYaml .patch) "$patch") "delete" -}}
{{- if not $deletes }}{{ fail "a patch is a JSON patch, or has `$patch: delete`" }}{{ end -}}
{{- end -}}
{{- $kind := printf "^(%s)$" (.target.kind | default ".*") -}}
{{- $name := printf "^(%s)$" (.target.name | default ".*") -}}
{{- range $entry := .state.documents -}}
{{- $document := $entry.document -}}
{{- if and (regexMatch $kind $document.kind) (regexMatch $name $document.metadata.name) -}}
{{- if $deletes }}{{ $_ := set $entry "deleted" true }}{{ end -}}
{{- range $operations -}}
{{- include "inference.operation" (dict "document" $document "operation" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The value at a path, as {found: value}; `parts` are the path's. */ -}}
{{- define "inference.walk" -}}
{{- $node := .document -}}
{{- range .parts -}}
{{- if kindIs "slice" $node }}{{ $node = index $node (atoi .) }}{{ else }}{{ $node = get $node . }}{{ end -}}
{{- end -}}
{{- $_ := set .result "found" $node -}}
{{- end -}}

{{- define "inference.parts" -}}
{{- $parts := list -}}
{{- range splitList "/" (trimPrefix "/" .) }}{{ $parts = append $parts (. | replace "~1" "/" | replace "~0" "~") }}{{ end -}}
{{- toYaml $parts -}}
{{- end -}}

{{- /* One operation of a JSON patch (RFC 6902): test, add, replace, remove, copy. A list is made anew in what holds it. */ -}}
{{- define "inference.operation" -}}
{{- $operation := .operation -}}
{{- $parts := include "inference.parts" $operation.path | fromYamlArray -}}
{{- $key := last $parts -}}
{{- $result := dict -}}
{{- include "inference.walk" (dict "document" .document "parts" (initial $parts) "result" $result) -}}
{{- $place := $result.found -}}
{{- $value := $operation.value -}}
{{- if eq $operation.op "copy" -}}
{{- include "inference.walk" (dict "document" .document "parts" (include "inference.parts" $operation.from | fromYamlArray) "result" $result) -}}
{{- $value = $result.found -}}
{{- end -}}
{{- $value = get (deepCopy (dict "is" $value)) "is" -}}
{{- if eq $operation.op "test" -}}
{{- include "inference.walk" (dict "document" .document "parts" $parts "result" $result) -}}
{{- if ne (toJson $result.found) (toJson $value) }}{{ fail (printf "%s is not %v" $operation.path $value) }}{{ end -}}
{{- else if kindIs "slice" $place -}}
{{- $at := ternary (len $place) (atoi $key) (eq $key "-") -}}
{{- $before := slice $place 0 $at -}}
{{- $after := slice $place (ternary $at (int (add $at 1)) (eq $operation.op "add")) -}}
{{- $middle := ternary list (list $value) (eq $operation.op "remove") -}}
{{- include "inference.walk" (dict "document" .document "parts" (initial (initial $parts)) "result" $result) -}}
{{- $_ := set $result.found (last (initial $parts)) (concat $before $middle $after) -}}
{{- else if eq $operation.op "remove" -}}
{{- $_ := unset $place $key -}}
{{- else -}}
{{- $_ := set $place $key $value -}}
{{- end -}}
{{- end -}}
