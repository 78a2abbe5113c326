// Drives a Verilated design whose ports are ready/valid streams, from plain arrays.
//
// The generated glue names the design's ports in a table of `Stream`s and includes this file last.
// One clock `clk`, synchronous reset `rst`; a word is in its array as little-endian 32-bit pieces.
#pragma once

#include <verilated.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
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

/// What `run` is asked for; the arrays have an entry a stream. Mirrored by harness.py.
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
    explicit Driver(const std::vector<Stream<MODEL>>& streams) : model_(&context_, ""), streams_(streams) {
        reset();
    }
    ~Driver() { model_.final(); }

    MODEL& model() { return model_; }

    void clock() {
        model_.clk = 1;
        model_.eval();
        model_.clk = 0;
    }

    void reset() {
        for (const auto& s : streams_) s.put_flag(model_, false);
        model_.rst = 1;
        for (int i = 0; i < 4; ++i) {
            model_.eval();
            clock();
        }
        model_.rst = 0;
        model_.eval();
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
            model_.eval();
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
        model_.eval();
        std::snprintf(job.message, static_cast<std::size_t>(job.message_size), "%s", trouble.c_str());
        return last_transfer + 1;
    }

   private:
    static void trim(std::vector<std::uint32_t>& word, unsigned bits) {
        if (bits % 32 != 0) word.back() &= (1u << (bits % 32)) - 1;
    }

    VerilatedContext context_;
    MODEL model_;
    const std::vector<Stream<MODEL>>& streams_;
    std::vector<char> flags_, opposite_;
    std::vector<std::uint32_t> word_;
};

}  // namespace lepton_driver
