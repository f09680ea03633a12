package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	pb "github.com/gaia-workflows/gaia/examples/worker/go/gen/gaia/v1"
)

// sandbox are arguments of bubblewrap: the program sees the system of this machine and its own files. All that it starts
// ends with it, since they share a process namespace whose first process it is, and it ends with the worker.
const sandbox = "--unshare-all --as-pid-1 --die-with-parent --new-session --cap-drop ALL --dev /dev --proc /proc " +
	"--ro-bind /usr /usr --ro-bind /etc /etc --ro-bind-try /bin /bin --ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64"

// attempt is one execution. The program sees the folder root as /; what it says goes to the file log.
type attempt struct {
	id, root, log string
	ctx           context.Context // ends when it is cancelled
	cancel        context.CancelFunc
	order         *pb.Dispatch // nil while only a cancel of it has come
	took          time.Duration
}

// failure makes the reason why an attempt failed; whatever finds one panics with it, down to caught.
func failure(class, format string, values ...any) *pb.Failure {
	message := strings.ToValidUTF8(fmt.Sprintf(format, values...), "?") // protobuf takes no other text
	return &pb.Failure{Class: pb.FailureClass(pb.FailureClass_value["FAILURE_CLASS_"+class]), Message: message}
}

// caught returns why something failed, or nil.
func caught(do func()) (why *pb.Failure) {
	defer func() {
		switch problem := recover().(type) {
		case *pb.Failure:
			why = problem
		case error:
			why = failure("ENGINE", "the worker failed: %v", problem)
		}
	}()
	do()
	return nil
}

// execute runs one attempt to its end, and returns what it leaves and why it failed.
func (w *worker) execute(a *attempt) (outputs []*pb.Publication, why *pb.Failure) {
	folder := w.scratch + "/" + a.id
	defer os.RemoveAll(folder)
	a.root, a.log = folder+"/root", folder+"/log"
	why = caught(func() {
		w.stageIn(a)
		w.mu.Lock()
		w.say(&pb.Report{Report: &pb.Report_Started{Started: &pb.Started{Fence: a.order.Fence}}})
		w.mu.Unlock()
		a.run()
		outputs = w.stageOut(a, true)
	})
	if why != nil {
		tail, _ := exec.Command("sh", "-c", `tail -n 100 "$0" | tail -c 16384`, a.log).Output()
		why.LogTail = strings.ToValidUTF8(string(tail), "?")
		caught(func() { outputs = w.stageOut(a, false) }) // a log that cannot be stored must not hide the failure
	}
	return outputs, why
}

// stageIn makes the folders of the attempt, and lays the pinned inputs where the program looks for them.
func (w *worker) stageIn(a *attempt) {
	if len(a.order.Secrets) > 0 || a.order.KeepEntrypoint {
		panic(failure("ENGINE", "this worker has no secrets and knows no entrypoints of images"))
	}
	try(0, os.MkdirAll(a.root+"/tmp", 0o755))
	a.makeRoom("", a.order.Stdout)
	for _, out := range a.order.Outputs {
		a.makeRoom(out.Key, out.Path)
	}
	for _, in := range a.order.Inputs {
		a.makeRoom(in.Key, in.Path)
		var files []*pb.FileVersion
		for _, source := range in.Sources {
			if source.Manifest != nil {
				panic(failure("ENGINE", "%q: this worker knows no manifests", in.Key))
			}
			files = append(files, source.Files...)
		}
		index := slices.IndexFunc(files, func(file *pb.FileVersion) bool { return file.Key == in.Key })
		if index < 0 {
			panic(failure("INPUT_MISSING", "input %q: %q is not in what another Step wrote", in.Name, in.Key))
		}
		w.get(a, files[index], a.root+in.Path)
	}
}

// makeRoom makes the folder in which a file will lie, and refuses what this worker leaves out.
func (a *attempt) makeRoom(key, path string) {
	if a.order.InputsByRpc || strings.HasSuffix(key, "/") || strings.Contains(key, ":") {
		panic(failure("ENGINE", "%q: this worker knows no trees, no other buckets and no inputs by RPC", key))
	}
	try(0, os.MkdirAll(filepath.Dir(a.root+path), 0o755))
}

// get fetches one version of a file, and makes sure that it is what was stored.
func (w *worker) get(a *attempt, file *pb.FileVersion, path string) {
	pinned := minio.GetObjectOptions{VersionID: file.Version}
	err := w.s3.FGetObject(a.ctx, w.bucket, a.order.Workflow+"/"+file.Key, path, pinned)
	if slices.Contains([]int{404, 405, 412}, minio.ToErrorResponse(err).StatusCode) {
		panic(failure("INPUT_CHANGED", "%q is gone: %v", file.Key, err))
	} else if err != nil {
		panic(failure("STORE", "%q: %v", file.Key, err))
	}
	local := try(os.Open(path))
	defer local.Close()
	if size, digest := measure(local); size != file.SizeBytes || len(file.Sha256) > 0 && digest != string(file.Sha256) {
		panic(failure("INPUT_CHANGED", "%q came with another content than was stored", file.Key))
	}
	try(0, local.Chmod(0o755)) // it may well be a program
}

func measure(file *os.File) (size uint64, digest string) {
	hash := sha256.New()
	size = uint64(try(io.Copy(hash, file)))
	try(file.Seek(0, io.SeekStart))
	return size, string(hash.Sum(nil))
}

// run runs the program, in coreutils' timeout: that asks it to end, kills it later, and tells signals as a shell does.
func (a *attempt) run() {
	args := append([]string{"--bind", a.root, "/"}, strings.Fields(sandbox)...)
	for _, in := range a.order.Inputs {
		args = append(args, "--ro-bind", a.root+in.Path, in.Path)
	}
	if a.order.Network {
		args = append(args, "--share-net")
	}
	workdir := cmp.Or(a.order.Workdir, "/")
	args = append(args, "--dir", workdir, "--chdir", workdir, "timeout", "-k10", fmt.Sprint(a.order.TimeoutS))
	program := exec.CommandContext(a.ctx, "bwrap", slices.Concat(args, a.order.Entrypoint, a.order.Argv)...)
	program.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp"} // none of the worker's secrets
	for name, value := range a.order.Env {
		program.Env = append(program.Env, name+"="+value)
	}
	log := try(os.Create(a.log))
	defer log.Close()
	program.Stdout, program.Stderr = log, log
	if a.order.Stdout != "" {
		stdout := try(os.Create(a.root + a.order.Stdout))
		defer stdout.Close()
		program.Stdout = io.MultiWriter(stdout, log)
	}
	began := time.Now()
	err := program.Run()
	a.took = time.Since(began)
	switch code := int32(program.ProcessState.ExitCode()); {
	case code < 0: // never started, or cancelled
		panic(err)
	case code > 0 && a.took.Seconds() >= a.order.TimeoutS:
		panic(failure("TIMEOUT", "not done after %g s", a.order.TimeoutS))
	case code > 0:
		why := failure("COMMAND", "exit code %d", code)
		why.ExitCode = &code
		panic(why)
	}
}

// stageOut stores the outputs as new versions; of a failed attempt only those that are kept all the same.
func (w *worker) stageOut(a *attempt, succeeded bool) (published []*pb.Publication) {
	root := try(os.OpenRoot(a.root)) // no link that the program made leads out of it
	defer root.Close()
	for _, out := range a.order.Outputs {
		if out.Path == ">>" || out.Path == ">" && succeeded {
			published = append(published, w.put(a, out.Key, try(os.Open(a.log))))
		} else if succeeded {
			info, err := root.Stat(out.Path[1:])
			if err != nil || !info.Mode().IsRegular() {
				panic(failure("OUTPUT_MISSING", "output %q (%q): no file at %s", out.Name, out.Key, out.Path))
			}
			published = append(published, w.put(a, out.Key, try(root.Open(out.Path[1:]))))
		}
	}
	return published
}

// put stores a file as a new version of its Key.
func (w *worker) put(a *attempt, key string, file *os.File) *pb.Publication {
	defer file.Close()
	size, digest := measure(file)
	stored, err := w.s3.PutObject(a.ctx, w.bucket, a.order.Workflow+"/"+key, file, int64(size), minio.PutObjectOptions{})
	if err != nil || stored.VersionID == "" || stored.VersionID == "null" {
		panic(failure("STORE", "%q was not stored as a version: %v", key, err))
	}
	version := &pb.FileVersion{Key: key, Version: stored.VersionID, SizeBytes: size, Sha256: []byte(digest)}
	return &pb.Publication{Key: key, Files: []*pb.FileVersion{version}}
}
