// Renders templates with Go's own text/template: one JSON object per line in, one out.
//
//	in:  {"source": base64, "data": any JSON, "query": {string: string}, "missing": "error" | "default" | "zero"}
//	out: {"text": base64} or {"parse": message} or {"render": message}
//
// Run it as `go run oracle.go < cases > answers`. The data is what encoding/json makes of it; "query", if not null,
// becomes data.request.query as a map[string]string.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"text/template"
)

type request struct {
	Source  []byte                 `json:"source"`
	Data    map[string]interface{} `json:"data"`
	Query   map[string]string      `json:"query"`
	Missing string                 `json:"missing"`
}

type answer struct {
	Text   *[]byte `json:"text,omitempty"`
	Parse  string  `json:"parse,omitempty"`
	Render string  `json:"render,omitempty"`
}

// capped stops a rendering that writes without end.
type capped struct{ bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if c.Len() > 1<<20 {
		return 0, os.ErrInvalid
	}
	return c.Buffer.Write(p)
}

func render(r request) answer {
	t, err := template.New("t").Option("missingkey=" + r.Missing).Parse(string(r.Source))
	if err != nil {
		return answer{Parse: err.Error()}
	}
	if r.Query != nil {
		r.Data["request"] = map[string]interface{}{"query": r.Query}
	}
	var out capped
	if err := t.Execute(&out, r.Data); err != nil {
		return answer{Render: err.Error()}
	}
	text := append([]byte{}, out.Bytes()...)
	return answer{Text: &text}
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var r request
			if err := json.Unmarshal(line, &r); err != nil {
				panic(err)
			}
			out.Encode(render(r))
		}
		if err != nil {
			return
		}
	}
}
