// Drives a Verilated design whose ports are ready/valid streams, from plain arrays.
//
// The generated bridge includes the model's header first, then this file, and names the design's ports in a `Pins`
// and a table of `Stream`s. A word is in its array as little-endian 32-bit pieces.
#pragma once

#include <verilated.h>
#if VM_TRACE_VCD
#include <verilated_vcd_c.h>
#endif

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace lepton_driver {

inline void put(CData& port, const std::uint32_t* word) { port = static_cast<CData>(word[0]); }
inline void put(SData& port, const std::uint32_t* word) { port = static_cast<SData>(word[0]); }
inline void put(IData& port, const std::uint32_t* word) { port = word[0]; }
inline void put(QData& port, const std::uint32_t* word) { port = word[0] | QData(word[1]) << 32; }
template <std::size_t N> void put(VlWide<N>& port, const std::uint32_t* word) {
    for (std::size_t i = 0; i < N; ++i) port[i] = word[i];
}

inline void get(const CData& port, std::uint32_t* word) { word[0] = port; }
inline void get(const SData& port, std::uint32_t* word) { word[0] = port; }
inline void get(const IData& port, std::uint32_t* word) { word[0] = port; }
inline void get(const QData& port, std::uint32_t* word) {
    word[0] = static_cast<std::uint32_t>(port);
    word[1] = static_cast<std::uint32_t>(port >> 32);
}
template <std::size_t N> void get(const VlWide<N>& port, std::uint32_t* word) {
    for (std::size_t i = 0; i < N; ++i) word[i] = port[i];
}

/// Clock and reset: `reset` is told whether the design is to be held in reset, whatever the pin's polarity.
template <typename MODEL> struct Pins {
    void (*clock)(MODEL&, bool);
    void (*reset)(MODEL&, bool);
};

template <typename MODEL> struct Stream {
    const char* name;
    bool is_input;
    unsigned bits;
    void (*put_data)(MODEL&, const std::uint32_t*);
    void (*get_data)(const MODEL&, std::uint32_t*);
    void (*put_flag)(MODEL&, bool);        // valid of an input, ready of an output
    bool (*get_flag)(const MODEL&);        // ready of an input, valid of an output
    unsigned pieces() const { return (bits + 31) / 32; }
};

struct Random {
    std::uint32_t state;
    std::uint32_t next() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        return state;
    }
};

/// What `run` is asked for; the arrays have an entry a stream. Mirrored by lepton_edge/runtime/verilated.py.
struct Job {
    std::uint32_t** words;        // inputs: to send; outputs: received
    const std::int64_t* counts;   // words to send, or to expect; -1: take none
    std::int64_t** cycles;        // cycle of each word's transfer
    std::int64_t* done;           // words transferred
    const std::uint32_t* stalls;  // chance of a stall in a cycle, times 2^32
    std::uint32_t seed;
    std::int64_t patience;        // give up after so many cycles without a transfer
    std::int64_t linger;          // after the last word, look for surplus ones so long
    std::int32_t is_checked;      // watch the protocol as well (slower)
    char* message;
    std::int64_t message_size;
};

template <typename MODEL> class Driver {
   public:
    Driver(const Pins<MODEL>& pins, const std::vector<Stream<MODEL>>& streams)
        : model_(&context_, ""), pins_(pins), streams_(streams) {
        reset();
    }
    ~Driver() {
        trace(nullptr);
        model_.final();
    }
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    MODEL& model() { return model_; }

    void clock() {
        pins_.clock(model_, true);
        model_.eval();
        record();
        pins_.clock(model_, false);
    }

    /// Lets the outputs follow the inputs, without a clock edge.
    void settle() {
        model_.eval();
        record();
    }

    void reset() {
        for (const auto& s : streams_) s.put_flag(model_, false);
        pins_.reset(model_, true);
        for (int i = 0; i < 4; ++i) {
            settle();
            clock();
        }
        pins_.reset(model_, false);
        // A design may take its reset in by a register.
        for (int i = 0; i < 2; ++i) {
            settle();
            clock();
        }
        settle();
    }

    /// Writes waveforms of the top's own signals (its streams) to `path` from now on; nullptr ends it. All depths would
    /// be some 100 KB a cycle. Returns whether this build can.
    bool trace(const char* path) {
#if VM_TRACE_VCD
        if (tracer_) tracer_->close();
        tracer_.reset();
        if (path == nullptr) return true;
        context_.traceEverOn(true);
        tracer_.reset(new VerilatedVcdC);
        model_.trace(tracer_.get(), 99);
        tracer_->dumpvars(1, model_.modelName() + 1);  // without Verilator's "V"
        tracer_->open(path);
        return tracer_->isOpen();
#else
        return path == nullptr;
#endif
    }

    /// Returns the cycles that passed until the last transfer.
    std::int64_t run(const Job& job) {
        const std::size_t n = streams_.size();
        std::string trouble;
        std::vector<Random> random(n);
        std::vector<char> offered(n, 0), held(n, 0);
        std::vector<int> complaints(n, 0);
        std::vector<std::vector<std::uint32_t>> before(n), now(n), junk(n);
        for (std::size_t i = 0; i < n; ++i) {
            random[i].state = (job.seed * 2654435761u) ^ (0x9e3779b9u * static_cast<std::uint32_t>(i + 1));
            if (random[i].state == 0) random[i].state = 1;
            before[i].resize(streams_[i].pieces());
            now[i].resize(streams_[i].pieces());
            junk[i].resize(streams_[i].pieces());
            job.done[i] = 0;
        }
        const auto complain = [&](std::int64_t cycle, std::size_t i, const char* what) {
            if (++complaints[i] <= 2) {
                trouble += "cycle " + std::to_string(cycle) + ", " + streams_[i].name + ": " + what + "\n";
            }
        };
        std::int64_t cycle = 0, last_transfer = 0;
        for (;; ++cycle) {
            bool is_complete = true;
            for (std::size_t i = 0; i < n; ++i) is_complete = is_complete && job.done[i] >= job.counts[i];
            if (cycle - last_transfer > (is_complete ? job.linger : job.patience)) break;

            std::vector<char>& flags = flags_;
            flags.assign(n, 0);
            for (std::size_t i = 0; i < n; ++i) {
                const bool stalls = random[i].next() < job.stalls[i];
                if (streams_[i].is_input) {
                    // Once offered, a word stays until it is taken.
                    if (!offered[i]) offered[i] = !stalls && job.done[i] < job.counts[i];
                    flags[i] = offered[i];
                    if (offered[i]) {
                        streams_[i].put_data(model_, job.words[i] + job.done[i] * streams_[i].pieces());
                    } else {
                        for (unsigned p = 0; p < streams_[i].pieces(); ++p) junk[i][p] = random[i].next();
                        trim(junk[i], streams_[i].bits);
                        streams_[i].put_data(model_, junk[i].data());
                    }
                } else {
                    flags[i] = !stalls && job.counts[i] >= 0;
                }
            }
            if (job.is_checked) {
                for (std::size_t i = 0; i < n; ++i) streams_[i].put_flag(model_, !flags[i]);
                model_.eval();
                opposite_.assign(n, 0);
                for (std::size_t i = 0; i < n; ++i) {
                    opposite_[i] = streams_[i].get_flag(model_);
                    if (!streams_[i].is_input) streams_[i].get_data(model_, now[i].data());
                }
            }
            for (std::size_t i = 0; i < n; ++i) streams_[i].put_flag(model_, flags[i]);
            settle();
            for (std::size_t i = 0; i < n; ++i) {
                const Stream<MODEL>& s = streams_[i];
                const bool other = s.get_flag(model_);
                if (job.is_checked && bool(opposite_[i]) != other) {
                    complain(cycle, i, s.is_input ? "ready is combinational" : "valid is combinational");
                }
                if (!s.is_input && (other || job.is_checked)) {
                    std::vector<std::uint32_t>& word = word_;
                    word.resize(s.pieces());
                    s.get_data(model_, word.data());
                    if (job.is_checked) {
                        if (other && word != now[i]) complain(cycle, i, "data is combinational");
                        if (held[i] && !other) complain(cycle, i, "valid fell before ready");
                        if (held[i] && other && word != before[i]) complain(cycle, i, "data changed before ready");
                        before[i] = word;
                        held[i] = other && !flags[i];
                    }
                    if (other && flags[i]) {
                        if (job.done[i] < job.counts[i]) {
                            std::memcpy(job.words[i] + job.done[i] * s.pieces(), word.data(), 4 * s.pieces());
                        } else {
                            complain(cycle, i, "a surplus word");
                        }
                    }
                }
                if (other && flags[i]) {
                    if (job.done[i] < job.counts[i]) {
                        job.cycles[i][job.done[i]] = cycle;
                        ++job.done[i];
                    }
                    offered[i] = 0;
                    last_transfer = cycle;
                }
            }
            clock();
        }
        for (const auto& s : streams_) s.put_flag(model_, false);
        settle();
        std::snprintf(job.message, static_cast<std::size_t>(job.message_size), "%s", trouble.c_str());
        return last_transfer + 1;
    }

   private:
    void record() {
#if VM_TRACE_VCD
        context_.timeInc(1);
        if (tracer_) tracer_->dump(context_.time());
#endif
    }

    static void trim(std::vector<std::uint32_t>& word, unsigned bits) {
        if (bits % 32 != 0) word.back() &= (1u << (bits % 32)) - 1;
    }

    VerilatedContext context_;
    MODEL model_;
    Pins<MODEL> pins_;
    const std::vector<Stream<MODEL>>& streams_;
#if VM_TRACE_VCD
    std::unique_ptr<VerilatedVcdC> tracer_;
#endif
    std::vector<char> flags_, opposite_;
    std::vector<std::uint32_t> word_;
};

/// The AXI-Lite registers of a generated top, which are named as Vitis HLS names them.
template <typename MODEL> class Registers {
   public:
    explicit Registers(Driver<MODEL>& driver) : driver_(driver), model_(driver.model()) {}

    /// Returns whether the design answered.
    bool write(std::uint32_t address, std::uint32_t value) {
        model_.s_axi_control_AWADDR = address;
        model_.s_axi_control_WDATA = value;
        model_.s_axi_control_WSTRB = 15;
        model_.s_axi_control_AWVALID = model_.s_axi_control_WVALID = model_.s_axi_control_BREADY = 1;
        for (int cycle = 0; cycle < PATIENCE; ++cycle) {
            driver_.settle();
            const bool is_address = model_.s_axi_control_AWVALID && model_.s_axi_control_AWREADY;
            const bool is_data = model_.s_axi_control_WVALID && model_.s_axi_control_WREADY;
            const bool is_done = model_.s_axi_control_BVALID;
            driver_.clock();
            if (is_address) model_.s_axi_control_AWVALID = 0;
            if (is_data) model_.s_axi_control_WVALID = 0;
            if (is_done) {
                model_.s_axi_control_BREADY = 0;
                driver_.settle();
                return true;
            }
        }
        return false;
    }

    bool read(std::uint32_t address, std::uint32_t& value) {
        model_.s_axi_control_ARADDR = address;
        model_.s_axi_control_ARVALID = model_.s_axi_control_RREADY = 1;
        for (int cycle = 0; cycle < PATIENCE; ++cycle) {
            driver_.settle();
            const bool is_address = model_.s_axi_control_ARVALID && model_.s_axi_control_ARREADY;
            const bool is_done = model_.s_axi_control_RVALID;
            value = model_.s_axi_control_RDATA;
            driver_.clock();
            if (is_address) model_.s_axi_control_ARVALID = 0;
            if (is_done) {
                model_.s_axi_control_RREADY = 0;
                driver_.settle();
                return true;
            }
        }
        return false;
    }

   private:
    static constexpr int PATIENCE = 100;
    Driver<MODEL>& driver_;
    MODEL& model_;
};

}  // namespace lepton_driver
