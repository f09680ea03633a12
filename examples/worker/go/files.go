package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	pb "github.com/gaia-workflows/gaia/examples/worker/go/gen/gaia/v1"
)

const (
	inlineFiles = 100 // what a report lists of trees; the other trees are published by manifests
	keyBytes    = 900
	storeFailed = pb.FailureClass_FAILURE_CLASS_STORE
)

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	gone       = []string{"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "PreconditionFailed", "MethodNotAllowed"}
)

func isTree(key string) bool { return strings.HasSuffix(key, "/") }

// pathOf returns an internal path with "/" at its end if its Key is a tree.
func pathOf(key, path string) string {
	if isTree(key) {
		return strings.TrimRight(path, "/") + "/"
	}
	return path
}

// place returns the bucket of a Key and the object's name in it.
func (w *worker) place(a *attempt, key string) (bucket, object string) {
	head, tail, _ := strings.Cut(key, ":")
	if tail != "" && bucketName.MatchString(head) && !strings.Contains(head, "..") && net.ParseIP(head) == nil {
		return head, tail
	}
	return w.bucket, a.order.Workflow + "/" + key
}

// stageIn makes the folders of the attempt, and lays the pinned inputs where the program looks for them.
func (w *worker) stageIn(a *attempt) {
	for _, path := range append(a.paths(), a.order.Workdir+"/") {
		folder, _ := filepath.Split(filepath.Join(a.folder, "root") + "/" + path)
		try(0, os.MkdirAll(folder, 0o755))
	}
	sources := w.sources(a)
	for _, in := range a.order.Inputs {
		w.stageInput(a, in, sources[in.Name])
	}
}

// sources returns what each input is made of: from the order or, where that is too long for it, from the server.
func (w *worker) sources(a *attempt) map[string][]*pb.Publication {
	found := map[string][]*pb.Publication{}
	for _, in := range a.order.Inputs {
		found[in.Name] = in.Sources
	}
	if !a.order.InputsByRpc {
		return found
	}
	ctx := metadata.AppendToOutgoingContext(a.ctx, "authorization", "Bearer "+setting("TOKEN", ""))
	id := idOf(a.order.Fence)
	pages, err := w.gaia.Inputs(ctx, &pb.InputsRequest{WorkflowUid: id.workflow, Step: id.step, Attempt: id.attempt})
	for page := (*pb.InputsResponse)(nil); err == nil; {
		if page, err = pages.Recv(); err == nil {
			found[page.Name] = append(found[page.Name], page.Sources...)
		}
	}
	if err != io.EOF {
		fail(storeFailed, "the server did not tell the inputs: %v", err)
	}
	return found
}

// stageInput fetches one input: the file of its Key, or all files under its Key where that is a tree.
func (w *worker) stageInput(a *attempt, in *pb.Input, sources []*pb.Publication) {
	edited := slices.ContainsFunc(a.order.Outputs, func(out *pb.Output) bool { return a.local(out.Path) == a.local(in.Path) })
	found := false
	for _, source := range sources {
		files := source.Files
		if source.Manifest != nil {
			var list bytes.Buffer
			var manifest pb.Manifest
			w.get(a, source.Manifest, w.bucket, source.Manifest.Key, &list)
			try(0, proto.Unmarshal(list.Bytes(), &manifest))
			files = manifest.Files
		}
		found = found || isTree(in.Key) && strings.HasPrefix(source.Key, in.Key) // which may be empty
		for _, file := range files {
			below, under := strings.CutPrefix(file.Key, in.Key)
			if file.Key == in.Key || isTree(in.Key) && under && filepath.IsLocal(below) && !isTree(file.Key) {
				found = true
				w.stageFile(a, file, filepath.Join(a.local(in.Path), below), edited)
			}
		}
	}
	if !found {
		fail(pb.FailureClass_FAILURE_CLASS_INPUT_MISSING, "input %q: %q is not in what another Step wrote", in.Name, in.Key)
	}
}

// stageFile fetches one file of an input; it becomes read-only unless the input's path is an output too.
func (w *worker) stageFile(a *attempt, file *pb.FileVersion, target string, edited bool) {
	try(0, os.MkdirAll(filepath.Dir(target), 0o755))
	local := try(os.Create(target))
	defer local.Close()
	bucket, object := w.place(a, file.Key)
	w.get(a, file, bucket, object, local)
	if a.inputs[target] = !edited; !edited {
		try(0, local.Chmod(0o555)) // it may well be a program
	}
}

// get reads one version of an object, and makes sure that it is what was stored.
func (w *worker) get(a *attempt, file *pb.FileVersion, bucket, object string, to io.Writer) {
	version := minio.GetObjectOptions{VersionID: file.Version}
	if etag, unversioned := strings.CutPrefix(file.Version, "null-"); unversioned {
		version.VersionID = "null"
		try(0, version.SetMatchETag(etag))
	}
	digest := sha256.New()
	content := try(w.s3.GetObject(a.ctx, bucket, object, version))
	defer content.Close()
	size, err := io.Copy(io.MultiWriter(to, digest), content)
	switch {
	case err != nil && slices.Contains(gone, minio.ToErrorResponse(err).Code):
		fail(pb.FailureClass_FAILURE_CLASS_INPUT_CHANGED, "%q is gone: %v", file.Key, err)
	case err != nil:
		fail(storeFailed, "%q: %v", file.Key, err)
	case uint64(size) != file.SizeBytes || len(file.Sha256) > 0 && !bytes.Equal(file.Sha256, digest.Sum(nil)):
		fail(pb.FailureClass_FAILURE_CLASS_INPUT_CHANGED, "%q came with another content than was stored", file.Key)
	}
}

// stageOut stores the outputs as new versions; of a failed attempt only those that are kept all the same.
func (w *worker) stageOut(a *attempt, succeeded bool) (published []*pb.Publication) {
	listed := 0
	for index, out := range a.order.Outputs {
		files := map[string]string{out.Key: a.words()}
		if succeeded && strings.HasPrefix(out.Path, "/") {
			files = a.collect(out)
		} else if !succeeded && out.Path != ">>" {
			continue
		}
		one := &pb.Publication{Key: out.Key}
		for _, key := range slices.Sorted(maps.Keys(files)) {
			bucket, object := w.place(a, key)
			one.Files = append(one.Files, w.putFile(a, key, bucket, object, files[key]))
		}
		if listed += len(one.Files); listed > inlineFiles && isTree(out.Key) {
			listed -= len(one.Files)
			id := idOf(a.order.Fence)
			key := fmt.Sprintf(".gaia/manifests/%s/%d/%d-%d-%d", a.order.Workflow, id.workflow, id.step, id.attempt, index)
			list := bytes.NewReader(try(proto.Marshal(&pb.Manifest{Files: one.Files})))
			one = &pb.Publication{Key: out.Key, Manifest: w.put(a, key, w.bucket, key, list)}
		}
		published = append(published, one)
	}
	return published
}

// collect finds what the program left of an output, as local files by Key.
func (a *attempt) collect(out *pb.Output) map[string]string {
	files, place := map[string]string{}, a.local(out.Path)
	err := filepath.WalkDir(place, func(path string, entry fs.DirEntry, err error) error {
		key := out.Key + strings.TrimPrefix(strings.TrimPrefix(path, place), "/")
		switch {
		case err != nil:
			return err
		case isTree(out.Key) && (entry.IsDir() || a.inputs[path]):
			return nil
		case !entry.Type().IsRegular() || isTree(key) || !utf8.ValidString(key) || len(key) > keyBytes:
			return fmt.Errorf("%q cannot be stored as %q", path, key)
		}
		files[key] = path
		return nil
	})
	if err != nil {
		fail(pb.FailureClass_FAILURE_CLASS_OUTPUT_MISSING, "output %q (%q) at %s: %v", out.Name, out.Key, out.Path, err)
	}
	return files
}

func (w *worker) putFile(a *attempt, key, bucket, object, path string) *pb.FileVersion {
	local := try(os.Open(path))
	defer local.Close()
	return w.put(a, key, bucket, object, local)
}

// put stores content as a new version of an object.
func (w *worker) put(a *attempt, key, bucket, object string, content io.ReadSeeker) *pb.FileVersion {
	digest := sha256.New()
	size := try(io.Copy(digest, content))
	try(content.Seek(0, io.SeekStart))
	stored, err := w.s3.PutObject(a.ctx, bucket, object, content, size, minio.PutObjectOptions{})
	if err != nil {
		fail(storeFailed, "%q: %v", key, err)
	} else if stored.VersionID == "" || stored.VersionID == "null" {
		fail(storeFailed, "the bucket %q keeps no versions", bucket)
	}
	return &pb.FileVersion{Key: key, Version: stored.VersionID, SizeBytes: uint64(size), Sha256: digest.Sum(nil)}
}

// try panics with an error, which ends the attempt as a failure of the worker.
func try[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
