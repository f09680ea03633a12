// Command gaia-host-worker is a Gaia worker that runs Steps on the host itself, without containers.
//
// It speaks docs/worker-protocol.md. This file is the conversation with the coordinator, attempt.go runs a
// program, files.go moves its files.
package main

//go:generate buf generate ../../../protos

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/crc32"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	pb "github.com/gaia-workflows/gaia/examples/worker/go/gen/gaia/v1"
)

const heartbeatEvery = 5 * time.Second

// worker is one life, or incarnation, of the worker of a name.
type worker struct {
	name, incarnation, prefix, scratch, bucket string

	kafka     *kgo.Client
	s3        *minio.Client
	gaia      pb.GaiaClient
	slots     chan struct{}
	accepting context.Context // ends when the worker drains
	refuse    context.CancelFunc

	mu       sync.Mutex // guards what follows, and with it the order of reports
	hello    *pb.Hello
	term     int64
	readTo   int64
	attempts map[attemptID]*attempt // all that this life has heard of
	held     map[attemptID]*pb.Fence
}

// attemptID tells attempts apart; the term does not, since another coordinator may order the same attempt again.
type attemptID struct {
	workflow      uint64
	step, attempt uint32
}

func main() {
	log.Print("WARNING: no container, no sandbox: Steps run as this user, on this machine, with its files and network")
	host := must(os.Hostname())
	w := &worker{name: setting("WORKER_NAME", host+"-go"), incarnation: rand.Text(),
		prefix: setting("TOPIC_PREFIX", "gaia"), bucket: setting("BUCKET", "gaia"),
		attempts: map[attemptID]*attempt{}, held: map[attemptID]*pb.Fence{}}
	w.scratch = filepath.Join(setting("SCRATCH", filepath.Join(os.TempDir(), "gaia-scratch")), w.name)
	w.accepting, w.refuse = context.WithCancel(context.Background())
	w.slots = make(chan struct{}, must(strconv.Atoi(setting("SLOTS", "2"))))
	account := credentials.NewStaticV4(setting("S3_ACCESS_KEY", ""), setting("S3_SECRET_KEY", ""), "")
	secure := must(strconv.ParseBool(setting("S3_SECURE", "true")))
	w.s3 = must(minio.New(setting("S3_ENDPOINT", ""), &minio.Options{Creds: account, Secure: secure}))
	w.gaia = pb.NewGaiaClient(must(grpc.NewClient(setting("HOST", "localhost:24442"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))))
	// The life before was perhaps killed: what it had started ends before this one says a word.
	killLabelled(w.label(""))
	os.RemoveAll(w.scratch)

	partition := int32(crc32.ChecksumIEEE([]byte(w.name)) % 64)
	w.openKafka(partition)
	w.hello = &pb.Hello{Pool: setting("POOL", "default"), Slots: uint32(cap(w.slots)), Prefetch: 2, Partition: partition,
		StartOffset: w.readTo, Executor: "host", Host: host}
	stopping, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(stopping, func() { restore(); w.drain() }) // a second signal ends it at once
	w.run()
}

// openKafka fixes the offset from which the inbox is read, before anybody hears of this life.
func (w *worker) openKafka(partition int32) {
	steps, brokers := w.prefix+".steps", kgo.SeedBrokers(setting("KAFKA_BOOTSTRAP", "127.0.0.1:9092"))
	asker := must(kgo.NewClient(brokers))
	defer asker.Close()
	end, _ := must(kadm.NewClient(asker).ListEndOffsets(context.Background(), steps)).Lookup(steps, partition)
	w.readTo = must(end.Offset, end.Err)
	from := map[string]map[int32]kgo.Offset{steps: {partition: kgo.NewOffset().At(w.readTo)}}
	w.kafka = must(kgo.NewClient(brokers, kgo.ConsumePartitions(from), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1)))
}

// run follows the inbox until the worker has drained. Heartbeats come from here, so that a stuck loop looks dead.
func (w *worker) run() {
	for beaten := time.Now().Add(-heartbeatEvery); ; w.mu.Unlock() {
		waiting, done := context.WithTimeout(context.Background(), 250*time.Millisecond)
		inbox := w.kafka.PollFetches(waiting)
		if err := inbox.Err(); errors.Is(err, kerr.OffsetOutOfRange) {
			log.Fatal("orders were deleted before they were read, so a new life has to begin")
		} else if err != nil && waiting.Err() == nil {
			log.Printf("the inbox does not answer: %v", err)
		}
		done()
		w.mu.Lock()
		inbox.EachRecord(w.take)
		if time.Since(beaten) >= heartbeatEvery {
			beaten = time.Now()
			w.beat()
		}
		if w.accepting.Err() != nil && len(w.held) == 0 {
			break
		}
	}
	w.say(&pb.Report{Report: &pb.Report_Goodbye{Goodbye: &pb.Goodbye{Reason: "drained"}}})
	last, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	w.kafka.Flush(last)
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
			if a := w.heardOf(order.Dispatch.Fence); a.order == nil { // else it was ordered before
				a.order = order.Dispatch
				w.held[idOf(a.order.Fence)] = a.order.Fence
				go w.attempt(a)
			}
		case *pb.InboxEntry_Cancel:
			w.heardOf(order.Cancel.Fence).cancel() // also of an attempt whose dispatch is yet to come
		case *pb.InboxEntry_Drain:
			go w.drain()
		}
	}
}

func (w *worker) heardOf(fence *pb.Fence) *attempt {
	id := idOf(fence)
	if w.attempts[id] == nil {
		ctx, cancel := context.WithCancel(context.Background())
		w.attempts[id] = &attempt{ctx: ctx, cancel: cancel}
	}
	return w.attempts[id]
}

// attempt waits for a slot, runs, and reports the end in one act with letting go of the attempt.
func (w *worker) attempt(a *attempt) {
	lost := &pb.Failure{Class: pb.FailureClass_FAILURE_CLASS_LOST, Message: "the worker drained before the attempt started"}
	end := &pb.Report{Report: &pb.Report_Failed{Failed: &pb.Failed{Fence: a.order.Fence, Failure: lost, Unstarted: true}}}
	select {
	case <-a.ctx.Done():
	case <-w.accepting.Done():
	case w.slots <- struct{}{}:
		if a.ctx.Err() == nil && w.accepting.Err() == nil {
			end = w.execute(a)
		}
		<-w.slots
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.ctx.Err() != nil {
		end = &pb.Report{Report: &pb.Report_Cancelled{Cancelled: &pb.Cancelled{Fence: a.order.Fence}}}
	}
	delete(w.held, idOf(a.order.Fence))
	a.order = &pb.Dispatch{} // that it was ordered is all that is remembered
	w.say(end)
}

// drain takes nothing new and gives back what waits for a slot, but says so first.
func (w *worker) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hello.Draining = true
	w.say(&pb.Report{Report: &pb.Report_Hello{Hello: w.hello}})
	w.refuse()
}

// beat says that the worker lives, what it is, what it holds, and how far it has followed its inbox.
func (w *worker) beat() {
	beat := &pb.Heartbeat{InboxOffset: w.readTo}
	for _, fence := range w.held {
		beat.Held = append(beat.Held, fence)
	}
	w.say(&pb.Report{Report: &pb.Report_Hello{Hello: w.hello}},
		&pb.Report{Report: &pb.Report_Heartbeat{Heartbeat: beat}})
}

// say sends reports in the order of the calls; the caller holds w.mu. The client tries for ever. Where even it gives up
// a new life is the safe way on: the attempts of this one are lost as soon as the next says hello, and run again.
func (w *worker) say(reports ...*pb.Report) {
	record := must(proto.Marshal(&pb.ReportRecord{Worker: w.name, Incarnation: w.incarnation, Reports: reports}))
	to := &kgo.Record{Topic: w.prefix + ".reports", Partition: 0, Key: []byte(w.name), Value: record}
	w.kafka.Produce(context.Background(), to, func(_ *kgo.Record, err error) { must(0, err) })
}

func idOf(fence *pb.Fence) attemptID { return attemptID{fence.WorkflowUid, fence.Step, fence.Attempt} }

func setting(name, otherwise string) string {
	if value := os.Getenv("GAIA_" + name); value != "" {
		return value
	}
	return otherwise
}

// must ends the worker where it cannot go on.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
