// Times Go's text/template for bench-go-template: prints the medians to parse and to render in microseconds, a newline and the text.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"syscall"
	"text/template"
)

// spent is the processor time of this process in microseconds, the collector's included.
func spent() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec)*1e6 + float64(u.Utime.Usec+u.Stime.Usec)
}

func median(calls int, call func()) float64 {
	var times []float64
	for round := 0; round < 31; round++ {
		start := spent()
		for i := 0; i < calls; i++ {
			call()
		}
		times = append(times, (spent()-start)/float64(calls))
	}
	sort.Float64s(times)
	return times[len(times)/2]
}

func main() {
	runtime.GOMAXPROCS(1)
	source, err := os.ReadFile("template")
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile("data.json")
	if err != nil {
		panic(err)
	}
	var data map[string]interface{}
	if err := json.Unmarshal(text, &data); err != nil {
		panic(err)
	}
	var t *template.Template
	parse := median(50, func() {
		t = template.Must(template.New("t").Option("missingkey=error").Parse(string(source)))
	})
	var out bytes.Buffer
	render := median(200, func() {
		out.Reset()
		if err := t.Execute(&out, data); err != nil {
			panic(err)
		}
	})
	fmt.Printf("%.1f %.1f\n%s", parse, render, out.Bytes())
}
