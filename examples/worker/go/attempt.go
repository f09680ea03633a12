package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	pb "github.com/gaia-workflows/gaia/examples/worker/go/gen/gaia/v1"
)

const tailBytes = 16 << 10

// attempt is one execution. What the program knows as /a/b lies at folder/root/a/b.
type attempt struct {
	ctx    context.Context // ends when it is cancelled
	cancel context.CancelFunc
	order  *pb.Dispatch // nil while only a cancel of it has come
	folder string
	inputs map[string]bool // local files that belong to no output tree
	ran    time.Duration
}

// failure ends an attempt: it is panicked with by whatever finds it, and becomes a report in execute.
type failure struct{ *pb.Failure }

func fail(class pb.FailureClass, format string, arguments ...any) {
	message := strings.ToValidUTF8(fmt.Sprintf(format, arguments...), "?") // protobuf takes no other text
	panic(failure{&pb.Failure{Class: class, Message: message}})
}

// execute runs one attempt to its end and returns the report of it.
func (w *worker) execute(a *attempt) (end *pb.Report) {
	id := fmt.Sprintf("%d-%d-a%d", a.order.Fence.WorkflowUid, a.order.Fence.Step, a.order.Fence.Attempt)
	a.folder, a.inputs = filepath.Join(w.scratch, id), map[string]bool{}
	defer os.RemoveAll(a.folder)
	defer func() {
		if problem := recover(); problem != nil {
			end = w.failed(a, problem)
		}
	}()
	w.stageIn(a)
	w.mu.Lock()
	w.say(&pb.Report{Report: &pb.Report_Started{Started: &pb.Started{Fence: a.order.Fence}}})
	w.mu.Unlock()
	a.run(w.label(id))
	completed := &pb.Completed{Fence: a.order.Fence, Outputs: w.stageOut(a, true), RunMs: uint32(a.ran.Milliseconds())}
	return &pb.Report{Report: &pb.Report_Completed{Completed: completed}}
}

// failed returns the report of a failure, with the end of what the program said and the outputs that are kept.
func (w *worker) failed(a *attempt, problem any) *pb.Report {
	why, known := problem.(failure)
	if !known {
		message := strings.ToValidUTF8(fmt.Sprintf("the worker failed: %v", problem), "?")
		why.Failure = &pb.Failure{Class: pb.FailureClass_FAILURE_CLASS_ENGINE, Message: message}
	}
	words, _ := os.ReadFile(a.words())
	why.LogTail = strings.ToValidUTF8(string(words[max(0, len(words)-tailBytes):]), "?")
	report := &pb.Failed{Fence: a.order.Fence, Failure: why.Failure}
	func() {
		defer func() { _ = recover() }() // a log that cannot be stored must not hide the failure
		report.Outputs = w.stageOut(a, false)
	}()
	return &pb.Report{Report: &pb.Report_Failed{Failed: report}}
}

// run runs the program. When it returns, nothing that the program started is left.
func (a *attempt) run(label string) {
	words := try(os.Create(a.words()))
	defer words.Close()
	limited, done := context.WithTimeout(a.ctx, time.Duration(a.order.TimeoutS*float64(time.Second)))
	defer done()
	var argv []string
	for _, token := range slices.Concat(a.order.Entrypoint, a.order.Argv) {
		argv = append(argv, a.onHost(token))
	}
	program := exec.CommandContext(limited, argv[0], argv[1:]...)
	program.Dir = a.local(a.order.Workdir)
	program.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.local("/"), label} // none of the worker's secrets
	for name, value := range a.order.Env {
		program.Env = append(program.Env, name+"="+a.onHost(value))
	}
	program.Stdout, program.Stderr = words, words
	if a.order.Stdout != "" {
		stdout := try(os.Create(a.local(a.order.Stdout)))
		defer stdout.Close()
		program.Stdout = io.MultiWriter(stdout, words)
	}
	program.Cancel = func() error { killLabelled(label); return nil }
	program.WaitDelay = time.Second // for what the program left behind with its output open
	began := time.Now()
	err := program.Run()
	a.ran = time.Since(began)
	killLabelled(label)
	switch code := int32(program.ProcessState.ExitCode()); {
	case limited.Err() != nil:
		fail(pb.FailureClass_FAILURE_CLASS_TIMEOUT, "not done after %g s", a.order.TimeoutS)
	case code < 0: // never found, or ended by a signal
		fail(pb.FailureClass_FAILURE_CLASS_COMMAND, "%v", err)
	case code > 0:
		message := fmt.Sprintf("exit code %d", code)
		panic(failure{&pb.Failure{Class: pb.FailureClass_FAILURE_CLASS_COMMAND, Message: message, ExitCode: &code}})
	}
}

// words is the file of stdout and stderr together.
func (a *attempt) words() string { return filepath.Join(a.folder, "words") }

// local returns the host's place of an internal path.
func (a *attempt) local(path string) string {
	return filepath.Join(a.folder, "root", filepath.Clean("/"+path))
}

// paths returns the internal paths of the attempt's files and, ending in "/", of its trees.
func (a *attempt) paths() []string {
	paths := []string{a.order.Stdout}
	for _, in := range a.order.Inputs {
		paths = append(paths, pathOf(in.Key, in.Path))
	}
	for _, out := range a.order.Outputs {
		paths = append(paths, pathOf(out.Key, out.Path))
	}
	return slices.DeleteFunc(paths, func(path string) bool { return len(path) < 2 || path[0] != '/' }) // ">", ">>", ""
}

// onHost puts the host's places where a text names internal paths: there is no container to show these to the program.
func (a *attempt) onHost(text string) string {
	either := "\x00" // no text has it
	for _, path := range a.paths() {
		either += "|" + regexp.QuoteMeta(strings.TrimRight(path, "/"))
	}
	named := regexp.MustCompile(`(^|[^\w./-])((?:` + either + `)\b)`)
	return named.ReplaceAllString(text, "${1}"+a.local("/")+"${2}")
}

// label marks the processes of an attempt; without an attempt's id it begins the labels of all of this worker.
func (w *worker) label(id string) string {
	return fmt.Sprintf("GAIA_HOST_ATTEMPT=%s/%s/%s", w.prefix, w.name, id)
}

// killLabelled kills all processes with a variable in their environment that begins so, until none is left.
func killLabelled(label string) {
	for left := true; left; {
		left = false
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range environs {
			if environ, _ := os.ReadFile(path); bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+label)) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				left = syscall.Kill(pid, syscall.SIGKILL) == nil || left
			}
		}
	}
}
