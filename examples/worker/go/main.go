// Command gaia-go-worker is a small Gaia worker: it runs Steps as programs of this machine, shut in by bubblewrap.
//
// It speaks docs/worker-protocol.md. This file is the conversation with the coordinator, attempt.go is one attempt.
package main

//go:generate buf generate ../../../protos

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"log"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	pb "github.com/gaia-workflows/gaia/examples/worker/go/gen/gaia/v1"
)

// worker is one life, or incarnation, of the worker of a name.
type worker struct {
	name, incarnation, reports, bucket, scratch string

	kafka *kgo.Client
	s3    *minio.Client

	mu           sync.Mutex // guards what follows, and with it the order of reports
	hello        *pb.Hello
	term, readTo int64
	free         int                  // slots
	attempts     map[string]*attempt  // all that this life has heard of, if only by a cancel
	held         map[string]*pb.Fence // those that wait or run
	waiting      []*attempt
}

func main() {
	name, prefix := env("WORKER_NAME", try(os.Hostname())+"-go"), env("TOPIC_PREFIX", "gaia")
	w := &worker{name: name, incarnation: rand.Text(), reports: prefix + ".reports", bucket: env("BUCKET", "gaia"),
		scratch:  env("SCRATCH", "/tmp/gaia-scratch") + "/" + name,
		free:     cmp.Or(try(strconv.Atoi(env("SLOTS", "0"))), runtime.NumCPU()),
		attempts: map[string]*attempt{}, held: map[string]*pb.Fence{}}
	try(0, os.RemoveAll(w.scratch)) // of the life before; its programs died with it
	account := credentials.NewStaticV4(env("S3_ACCESS_KEY", ""), env("S3_SECRET_KEY", ""), "")
	secure := try(strconv.ParseBool(env("S3_SECURE", "true")))
	w.s3 = try(minio.New(env("S3_ENDPOINT", ""), &minio.Options{Creds: account, Secure: secure}))
	w.kafka = try(kgo.NewClient(kgo.SeedBrokers(strings.Split(env("KAFKA_BOOTSTRAP", "127.0.0.1:9092"), ",")...),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1)))
	inbox, partition := prefix+".steps", int32(crc32.ChecksumIEEE([]byte(name))%64)
	end, _ := try(kadm.NewClient(w.kafka).ListEndOffsets(context.Background(), inbox)).Lookup(inbox, partition)
	w.readTo = try(end.Offset, end.Err) // fixed before anybody hears of this life
	w.kafka.AddConsumePartitions(map[string]map[int32]kgo.Offset{inbox: {partition: kgo.NewOffset().At(w.readTo)}})
	w.hello = &pb.Hello{Pool: env("POOL", "default"), Slots: uint32(w.free), Prefetch: 2, Partition: partition,
		StartOffset: w.readTo, Executor: "bubblewrap", Host: try(os.Hostname())}
	probe := exec.Command("bwrap", append(strings.Fields("--tmpfs / "+sandbox), "true")...)
	probe.Stderr = os.Stderr
	try(0, probe.Run())
	w.run()
}

// run follows the inbox until the worker has drained. Heartbeats come from here, so that a stuck loop looks dead.
func (w *worker) run() {
	stopping, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(stopping, restore) // a second signal ends it at once
	for beaten := (time.Time{}); ; w.mu.Unlock() {
		patience, done := context.WithTimeout(context.Background(), 250*time.Millisecond)
		inbox := w.kafka.PollFetches(patience)
		done()
		if err := inbox.Err(); errors.Is(err, kerr.OffsetOutOfRange) {
			panic(err) // orders were deleted unread, so a new life has to begin
		} else if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			log.Print("the inbox does not answer: ", err)
		}
		w.mu.Lock()
		inbox.EachRecord(w.take)
		leaving := stopping.Err() != nil
		if time.Since(beaten) > 5*time.Second || leaving && !w.hello.Draining { // said before anything is given back
			beaten, w.hello.Draining = time.Now(), leaving
			beat := &pb.Heartbeat{InboxOffset: w.readTo, Held: slices.Collect(maps.Values(w.held))}
			w.say(&pb.Report{Report: &pb.Report_Hello{Hello: w.hello}}, &pb.Report{Report: &pb.Report_Heartbeat{Heartbeat: beat}})
		}
		if w.next(); w.hello.Draining && len(w.held) == 0 {
			w.say(&pb.Report{Report: &pb.Report_Goodbye{Goodbye: &pb.Goodbye{Reason: "drained"}}})
			try(0, w.kafka.Flush(context.Background()))
			return
		}
	}
}

// take follows the orders of one record, if they are for this life and not of a deposed coordinator.
func (w *worker) take(record *kgo.Record) {
	w.readTo = record.Offset + 1
	inbox := &pb.InboxRecord{}
	if string(record.Key) != w.name || proto.Unmarshal(record.Value, inbox) != nil ||
		inbox.Incarnation != w.incarnation || inbox.Term < w.term {
		return
	}
	w.term = inbox.Term
	for _, entry := range inbox.Entries {
		switch order := entry.Order.(type) {
		case *pb.InboxEntry_Dispatch:
			if a := w.attempt(order.Dispatch.Fence); a.order == nil { // else it was ordered before
				a.order, w.held[a.id], w.waiting = order.Dispatch, order.Dispatch.Fence, append(w.waiting, a)
			}
		case *pb.InboxEntry_Cancel:
			w.attempt(order.Cancel.Fence).cancel() // also of an attempt whose dispatch is yet to come
		case *pb.InboxEntry_Drain:
			try(0, syscall.Kill(os.Getpid(), syscall.SIGTERM))
		}
	}
}

// attempt finds an attempt by its fence without the term: another coordinator may order the same one again.
func (w *worker) attempt(fence *pb.Fence) *attempt {
	id := fmt.Sprintf("%d-%d-%d", fence.WorkflowUid, fence.Step, fence.Attempt)
	if w.attempts[id] == nil {
		w.attempts[id] = &attempt{id: id}
		w.attempts[id].ctx, w.attempts[id].cancel = context.WithCancel(context.Background())
	}
	return w.attempts[id]
}

// next starts what waits, in the order of arrival, as far as there are slots, and ends what must not start.
func (w *worker) next() {
	w.waiting = slices.DeleteFunc(w.waiting, func(a *attempt) bool {
		if a.ctx.Err() != nil || w.hello.Draining {
			w.end(a, nil, failure("LOST", "the worker drains"))
		} else if w.free > 0 {
			w.free--
			go w.work(a)
		} else {
			return false
		}
		return true
	})
}

// work runs one attempt to its end and reports that.
func (w *worker) work(a *attempt) {
	outputs, why := w.execute(a)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end(a, outputs, why)
	w.free++
	w.next()
}

// end reports how an attempt ended and lets go of it in one act, so that no heartbeat comes between the two.
func (w *worker) end(a *attempt, outputs []*pb.Publication, why *pb.Failure) {
	fence := w.held[a.id]
	delete(w.held, a.id)
	a.order = &pb.Dispatch{} // that it was ordered is all that is remembered
	if a.ctx.Err() != nil {
		w.say(&pb.Report{Report: &pb.Report_Cancelled{Cancelled: &pb.Cancelled{Fence: fence}}})
	} else if why != nil {
		unstarted := why.Class == pb.FailureClass_FAILURE_CLASS_LOST // only what waits is given back
		failed := &pb.Failed{Fence: fence, Failure: why, Outputs: outputs, Unstarted: unstarted}
		w.say(&pb.Report{Report: &pb.Report_Failed{Failed: failed}})
	} else {
		completed := &pb.Completed{Fence: fence, Outputs: outputs, RunMs: uint32(a.took.Milliseconds())}
		w.say(&pb.Report{Report: &pb.Report_Completed{Completed: completed}})
	}
}

// say sends reports in the order of the calls; the caller holds w.mu. The client tries for ever; where even it gives up
// the worker dies, and what it held runs again as soon as its next life says hello.
func (w *worker) say(reports ...*pb.Report) {
	value := try(proto.Marshal(&pb.ReportRecord{Worker: w.name, Incarnation: w.incarnation, Reports: reports}))
	record := &kgo.Record{Topic: w.reports, Partition: 0, Key: []byte(w.name), Value: value}
	w.kafka.Produce(context.Background(), record, func(_ *kgo.Record, err error) { try(0, err) })
}

func env(name, otherwise string) string { return cmp.Or(os.Getenv("GAIA_"+name), otherwise) }

// try panics with an error: of the worker this is the end, of an attempt it becomes the failure.
func try[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
