"""The functions that a query may call: everything that is not here is refused.

Each table maps a kind of result to entries `name:arity`, `name>ClickHouse:arity` where the engine spells it
otherwise; an arity is `2`, `1-3` or `1-*`. Names are found in any case. Nothing here reads a file, the
network, the server's state or its settings, waits, or fills memory by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from posthog_mcp.sandbox.compiler.types import Kind

Result = Literal[
    "String", "Number", "Boolean", "DateTime", "Date", "UUID", "Array", "Tuple", "Map", "Interval", "State",
    "Unknown", "first", "last",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Function:
    """One allowed function.

    Attributes:
        name: ClickHouse's spelling.
        least: Fewest arguments.
        most: Most arguments, None for any number.
        result: Kind of the result; "first" and "last" mean that of the argument there.
        aggregate: Whether it folds rows.
        params: Fewest and most parameters, as in `quantile(0.9)(x)`; None for none.
        window_only: Whether it needs OVER.
    """

    name: str
    least: int
    most: int | None
    result: Result
    aggregate: bool = False
    params: tuple[int, int] | None = None
    window_only: bool = False


_SCALARS: dict[Result, str] = {
    "Number": """
        abs:1 negate:1 sqrt:1 cbrt:1 exp:1 exp2:1 exp10:1 log:1 ln>log:1 log2:1 log10:1 log1p:1 pow:2
        power>pow:2 round:1-2 floor:1-2 ceil:1-2 ceiling>ceil:1-2 trunc:1-2 truncate>trunc:1-2
        roundBankers:1-2 roundToExp2:1 roundDuration:1 roundAge:1 roundDown:2 sign:1 degrees:1 radians:1
        sin:1 cos:1 tan:1 asin:1 acos:1 atan:1 atan2:2 sinh:1 cosh:1 asinh:1 acosh:1 atanh:1 hypot:2 pi:0
        e:0 erf:1 erfc:1 lgamma:1 tgamma:1 factorial:1 plus:2 minus:2 multiply:2 divide:2 intDiv:2
        intDivOrZero:2 modulo:2 moduloOrZero:2 positiveModulo:2 mod>modulo:2 gcd:2 lcm:2 max2:2 min2:2
        width_bucket:4 bitAnd:2 bitOr:2 bitXor:2 bitNot:1 bitShiftLeft:2 bitShiftRight:2 bitRotateLeft:2
        bitRotateRight:2 bitTest:2 bitCount:1 bitHammingDistance:2 length:1 lengthUTF8:1
        char_length>lengthUTF8:1 character_length>lengthUTF8:1 ascii:1 position:2-3 positionUTF8:2-3
        positionCaseInsensitive:2-3 positionCaseInsensitiveUTF8:2-3 locate:2-3 countSubstrings:2-3
        countSubstringsCaseInsensitive:2-3 countMatches:2 multiSearchFirstIndex:2 multiSearchFirstPosition:2
        ngramDistance:2 ngramSearch:2 levenshteinDistance:2 editDistance:2 damerauLevenshteinDistance:2
        jaroSimilarity:2 jaroWinklerSimilarity:2 stringJaccardIndex:2 toYear:1-2 toQuarter:1-2 toMonth:1-2
        toDayOfYear:1-2 toDayOfMonth:1-2 toDayOfWeek:1-3 toHour:1-2 toMinute:1-2 toSecond:1-2
        toMillisecond:1-2 toUnixTimestamp:1-2 toUnixTimestamp64Milli:1 toUnixTimestamp64Micro:1
        toUnixTimestamp64Nano:1 toISOYear:1-2 toISOWeek:1-2 toWeek:1-3 toYearWeek:1-3 toYYYYMM:1-2
        toYYYYMMDD:1-2 toYYYYMMDDhhmmss:1-2 toRelativeYearNum:1-2 toRelativeQuarterNum:1-2
        toRelativeMonthNum:1-2 toRelativeWeekNum:1-2 toRelativeDayNum:1-2 toRelativeHourNum:1-2
        toRelativeMinuteNum:1-2 toRelativeSecondNum:1-2 year>toYear:1 quarter>toQuarter:1 month>toMonth:1
        day>toDayOfMonth:1 dayOfMonth>toDayOfMonth:1 dayOfYear>toDayOfYear:1 dayOfWeek>toDayOfWeek:1-3
        hour>toHour:1 minute>toMinute:1 second>toSecond:1 toInt8OrNull:1 toInt16OrNull:1 toInt32OrNull:1
        toInt64OrNull:1 toUInt8OrNull:1 toUInt16OrNull:1 toUInt32OrNull:1 toUInt64OrNull:1 toFloat32OrNull:1
        toFloat64OrNull:1 toIntOrZero>toInt64OrZero:1 toFloatOrZero>toFloat64OrZero:1
        toFloatOrDefault>toFloat64OrDefault:1-2 toInt64OrZero:1 toFloat64OrZero:1 toUInt64OrZero:1
        reinterpretAsUInt8:1 reinterpretAsUInt16:1 reinterpretAsUInt32:1 reinterpretAsUInt64:1
        reinterpretAsInt64:1 reinterpretAsFloat64:1 cityHash64:1-* sipHash64:1-* farmHash64:1-*
        metroHash64:1-* murmurHash2_64:1-* murmurHash3_32:1-* murmurHash3_64:1-* xxHash32:1-* xxHash64:1-*
        intHash32:1 intHash64:1 javaHash:1 halfMD5:1-* URLHash:1-2 CRC32:1 CRC64:1 JSONLength:1-*
        JSONExtractInt:1-* JSONExtractUInt:1-* JSONExtractFloat:1-* arraySum:1-* arrayAvg:1-*
        arrayProduct:1-* arrayUniq:1-* arrayCount:1-* indexOf:2 countEqual:2 arrayFirstIndex:2-*
        arrayLastIndex:2-* arrayDotProduct:2 L1Norm:1 L2Norm:1 LinfNorm:1 L1Distance:2 L2Distance:2
        cosineDistance:2 arrayAUC:2 greatCircleDistance:4 geoDistance:4 greatCircleAngle:4 port:1-2 rand:0-1
        rand32>rand:0-1 rand64:0-1 randCanonical:0-1 rowNumberInAllBlocks:0 bar:3-4 ignore:0-*
        tupleHammingDistance:2 dotProduct:2 bitPositionsToArray:1 isZeroOrNull:1
        ipv4StringToNum>IPv4StringToNum:1
    """,
    "String": """
        toString:1-2 toTypeName:1 lower:1 upper:1 lcase>lower:1 ucase>upper:1 lowerUTF8:1 upperUTF8:1
        initcap:1 initcapUTF8:1 reverse:1 reverseUTF8:1 concatWithSeparator:1-*
        concat_ws>concatWithSeparator:1-* substring:2-3 substr>substring:2-3 mid>substring:2-3
        substringUTF8:2-3 substringIndex:3 left:2 right:2 leftUTF8:2 rightUTF8:2 leftPad:2-3
        lpad>leftPad:2-3 rightPad:2-3 rpad>rightPad:2-3 leftPadUTF8:2-3 rightPadUTF8:2-3 repeat:2 space:1
        trim>trimBoth:1-2 trimBoth:1-2 trimLeft:1-2 trimRight:1-2 ltrim>trimLeft:1-2 rtrim>trimRight:1-2
        replace>replaceAll:3 replaceOne:3 replaceAll:3 replaceRegexpOne:3 replaceRegexpAll:3
        regexpQuoteMeta:1 translate:3 translateUTF8:3 extract:2 extractGroups:2 regexpExtract:2-3 format:1-*
        formatDateTime:2-3 formatDateTimeInJodaSyntax:2-3 dateName:2-3 monthName:1 formatReadableSize:1
        formatReadableDecimalSize:1 formatReadableQuantity:1 formatReadableTimeDelta:1-3
        appendTrailingCharIfAbsent:2 base64Encode:1 base64Decode:1 tryBase64Decode:1 base64URLEncode:1
        tryBase64URLDecode:1 base58Encode:1 tryBase58Decode:1 hex:1 unhex:1 bin:1 unbin:1 char:1-*
        toValidUTF8:1 normalizeUTF8NFC:1 normalizeUTF8NFKC:1 normalizeUTF8NFKCCasefold:1 soundex:1
        decodeHTMLComponent:1 encodeXMLComponent:1 decodeXMLComponent:1 extractTextFromHTML:1 MD5:1 SHA1:1
        SHA224:1 SHA256:1 SHA512:1 sipHash128:1-* murmurHash3_128:1 JSONExtractString:1-* JSONExtractRaw:1-*
        toJSONString:1 JSONType:1-* JSON_VALUE:2 JSON_QUERY:2 simpleJSONExtractString:2
        simpleJSONExtractRaw:2 protocol:1 domain:1 domainWithoutWWW:1 topLevelDomain:1
        firstSignificantSubdomain:1 cutToFirstSignificantSubdomain:1 path:1 pathFull:1 queryString:1
        fragment:1 queryStringAndFragment:1 netloc:1 extractURLParameter:2 cutWWW:1 cutQueryString:1
        cutFragment:1 cutQueryStringAndFragment:1 cutURLParameter:2 decodeURLComponent:1
        encodeURLComponent:1 encodeURLFormComponent:1 decodeURLFormComponent:1 arrayStringConcat:1-2
        IPv4NumToString:1 IPv6NumToString:1 toStringCutToZero:1
    """,
    "Boolean": """
        startsWith:2 endsWith:2 startsWithUTF8:2 endsWithUTF8:2 hasToken:2 hasTokenCaseInsensitive:2
        multiSearchAny:2 multiSearchAnyCaseInsensitive:2 multiMatchAny:2 hasSubsequence:2
        hasSubsequenceCaseInsensitive:2 isValidUTF8:1 isFinite:1 isInfinite:1 isNaN:1 isValidJSON:1 xor:2-*
        JSONHas:1-* JSONExtractBool:1-* JSON_EXISTS:2 simpleJSONHas:2 has:2 hasAll:2 hasAny:2 hasSubstr:2
        arrayExists:1-* arrayAll:1-* mapContains:2 bitTestAny:2-* bitTestAll:2-* isIPv4String:1
        isIPv6String:1 isIPAddressInRange:2 empty:1 notEmpty:1
    """,
    "DateTime": """
        toStartOfDay:1-2 toStartOfHour:1-2 toStartOfMinute:1-2 toStartOfSecond:1-2 toStartOfMillisecond:1-2
        toStartOfFiveMinutes:1-2 toStartOfTenMinutes:1-2 toStartOfFifteenMinutes:1-2 timeSlot:1-2
        fromUnixTimestamp64Milli:1-2 fromUnixTimestamp64Micro:1-2 fromUnixTimestamp64Nano:1-2
        parseDateTime:2-3 parseDateTimeOrNull:2-3 parseDateTimeInJodaSyntax:2-3 UUIDv7ToDateTime:1-2
        addSeconds:2 addMinutes:2 addHours:2 subtractSeconds:2 subtractMinutes:2 subtractHours:2
    """,
    "Date": """
        toMonday:1-2 toStartOfMonth:1-2 toStartOfQuarter:1-2 toStartOfYear:1-2 toStartOfISOYear:1-2
        toLastDayOfMonth:1-2 last_day>toLastDayOfMonth:1 toLastDayOfWeek:1-3 makeDate:2-3 toDate32:1-2
        toDateOrNull:1
    """,
    "UUID": "generateUUIDv4:0-1 generateUUIDv7:0-1 toUUIDOrNull:1 toUUIDOrZero:1 ",
    "Array": """
        array:0-* range:1-3 arrayConcat:1-* arraySlice:2-3 arrayReverse:1 arraySort:1-* arrayReverseSort:1-*
        arrayDistinct:1 arrayCompact:1 arrayFlatten:1 flatten>arrayFlatten:1 arrayZip:1-* arrayMap:2-*
        arrayFilter:2-* arrayFill:2-* arrayReverseFill:2-* arraySplit:2-* arrayReverseSplit:2-*
        arrayCumSum:1-* arrayCumSumNonNegative:1-* arrayDifference:1 arrayEnumerate:1 arrayEnumerateUniq:1-*
        arrayEnumerateDense:1-* arrayIntersect:1-* arrayUnion:1-* arrayExcept:2 arrayPushBack:2
        arrayPushFront:2 arrayPopBack:1 arrayPopFront:1 arrayResize:2-3 arrayWithConstant:2
        arrayRotateLeft:2 arrayRotateRight:2 arrayShiftLeft:2-3 arrayShiftRight:2-3 arrayShuffle:1-2
        arrayPartialSort:2-* arrayShingles:2 arrayRemove:2 emptyArrayString:0 emptyArrayInt64:0
        emptyArrayFloat64:0 emptyArrayDateTime:0 splitByChar:2-3 splitByString:2-3 splitByRegexp:2-3
        splitByWhitespace:1-2 splitByNonAlpha:1-2 alphaTokens:1-2 tokens:1-3 ngrams:2 extractAll:2
        extractAllGroups:2 extractAllGroupsVertical:2 extractAllGroupsHorizontal:2 multiSearchAllPositions:2
        JSONExtractKeys:1-* JSONExtractArrayRaw:1-* JSONExtractKeysAndValuesRaw:1-* URLHierarchy:1
        URLPathHierarchy:1 extractURLParameters:1 extractURLParameterNames:1 mapKeys:1 mapValues:1
        timeSlots:2-4 bitmaskToArray:1 tupleNames:1
    """,
    "Tuple": """
        tuple:0-* tuplePlus:2 tupleMinus:2 tupleMultiply:2 tupleDivide:2 tupleNegate:1
        tupleMultiplyByNumber:2 tupleDivideByNumber:2 tupleConcat:1-* flattenTuple:1
    """,
    "Map": """
        map:0-* mapFromArrays:2 mapAdd:1-* mapSubtract:1-* mapFilter:2 mapApply:2 mapUpdate:2 mapConcat:1-*
        mapSort:1-2 mapReverseSort:1-2 extractKeyValuePairs:1-4
    """,
    "Interval": """
        toIntervalNanosecond:1 toIntervalMicrosecond:1 toIntervalMillisecond:1 toIntervalSecond:1
        toIntervalMinute:1 toIntervalHour:1 toIntervalDay:1 toIntervalWeek:1 toIntervalMonth:1
        toIntervalQuarter:1 toIntervalYear:1
    """,
    "Unknown": """
        arrayElement:2 arrayElementOrNull:2 arrayFirst:2-* arrayLast:2-* arrayFirstOrNull:2-*
        arrayLastOrNull:2-* arrayMin:1-* arrayMax:1-* arrayReduce:2-* arrayFold:3-* arrayJoin:1
        tupleElement:2-3 accurateCastOrDefault:2-3 reinterpretAsUUID:1 toIPv4:1 toIPv6:1 toIPv4OrNull:1
        toIPv6OrNull:1 finalizeAggregation:1 toLowCardinality:1 IPv4CIDRToRange:2 IPv6CIDRToRange:2
        geohashEncode:2-3 geohashDecode:1 tumble:2-3
    """,
    "first": """
        addDays:2 addWeeks:2 addMonths:2 addQuarters:2 addYears:2 subtractDays:2 subtractWeeks:2
        subtractMonths:2 subtractQuarters:2 subtractYears:2 greatest:1-* least:1-* materialize:1 identity:1
        assumeNotNull:1 toNullable:1 nullIf:2 transform:3-4 zeroIfNull>ifNull:1 clamp:3
    """,
}  # fmt: skip

_AGGREGATES: dict[Result, str] = {
    "Number": """
        count:0-* uniq:1-* uniqExact:1-* uniqCombined:1-* uniqCombined64:1-* uniqHLL12:1-* sum:1
        sumWithOverflow:1 sumKahan:1 avg:1 avgWeighted:2 stddevPop:1 stddevSamp:1 stddev_pop>stddevPop:1
        stddev_samp>stddevSamp:1 stddev>stddevSamp:1 varPop:1 varSamp:1 var_pop>varPop:1 var_samp>varSamp:1
        covarPop:2 covarSamp:2 covar_pop>covarPop:2 covar_samp>covarSamp:2 corr:2 skewPop:1 skewSamp:1
        kurtPop:1 kurtSamp:1 median:1 medianExact:1 medianTDigest:1 medianTiming:1 medianDeterministic:2
        entropy:1 deltaSum:1 deltaSumTimestamp:2 boundingRatio:2 groupBitAnd:1 groupBitOr:1 groupBitXor:1
        cramersV:2 contingency:2 theilsU:2 rankCorr:2 maxIntersections:2 maxIntersectionsPosition:2
        intervalLengthSum:2 minMappedArrays:2 maxMappedArrays:2
    """,
    "first": """
        min:1 max:1 any:1 anyLast:1 any_value>any:1 anyHeavy:1 argMin:2 argMax:2 first_value:1 last_value:1
        first_value_respect_nulls:1 last_value_respect_nulls:1 singleValueOrNull:1
    """,
    "Array": """
        groupArrayMovingSum:1 groupArrayMovingAvg:1 groupConcat:1 array_agg>groupArray:1 retention:1-32
        groupArrayLast:1
    """,
    "Tuple": """
        simpleLinearRegression:2 sumMap:1-* minMap:1-* maxMap:1-* sumCount:1 welchTTest:2 studentTTest:2
    """,
    "Boolean": "boolAnd>min:1 boolOr>max:1",
}  # fmt: skip

# Arguments, parameters and result of each.
_PARAMETRIC: dict[str, tuple[str, str, Result]] = {
    **{
        f"quantile{kind}": ("1-2", "1", "Number")
        for kind in ("", "Exact", "ExactLow", "ExactHigh", "TDigest", "Timing", "BFloat16")
    },
    **{
        f"quantile{kind}": ("2", "1", "Number")
        for kind in ("Deterministic", "ExactWeighted", "TDigestWeighted")
    },
    **{f"quantiles{kind}": ("1", "1-20", "Array") for kind in ("", "Exact", "TDigest", "Timing")},
    "topK": ("1", "0-3", "Array"),
    "topKWeighted": ("2", "0-3", "Array"),
    "groupArray": ("1", "0-1", "Array"),
    "groupUniqArray": ("1", "0-1", "Array"),
    "groupArraySample": ("1", "1-2", "Array"),
    "groupArraySorted": ("1", "1", "Array"),
    "groupArrayInsertAt": ("2", "0-2", "Array"),
    "windowFunnel": ("2-33", "1-4", "Number"),
    "sequenceMatch": ("2-33", "1", "Boolean"),
    "sequenceCount": ("2-33", "1", "Number"),
    "sequenceNextNode": ("4-33", "2", "String"),
    "histogram": ("1", "1", "Array"),
    "uniqUpTo": ("1-*", "1", "Number"),
    "exponentialMovingAverage": ("2", "1", "Number"),
    "exponentialTimeDecayedSum": ("2", "1", "Number"),
    "exponentialTimeDecayedAvg": ("2", "1", "Number"),
    "mannWhitneyUTest": ("2", "0-2", "Tuple"),
    "largestTriangleThreeBuckets": ("2", "1", "Array"),
    "sparkbar": ("2", "1-3", "String"),
}  # fmt: skip

_WINDOW: dict[Result, str] = {
    "Number": """
        row_number:0 rank:0 dense_rank:0 denseRank>dense_rank:0 percent_rank:0 percentRank>percent_rank:0
        cume_dist:0 ntile:1
    """,
    "first": "lag:1-3 lead:1-3 lagInFrame:1-3 leadInFrame:1-3 nth_value:2",
}  # fmt: skip

COMBINATORS = ("If", "Array", "Distinct", "OrNull", "OrDefault", "ForEach", "State", "Merge")
_SUFFIX = re.compile(rf"(?:{'|'.join(COMBINATORS)})$", re.IGNORECASE)


def _entries(
    tables: dict[Result, str], *, aggregate: bool = False, window_only: bool = False
) -> dict[str, Function]:
    found: dict[str, Function] = {}
    for result, text in tables.items():
        for entry in text.split():
            names, _, arity = entry.partition(":")
            name, _, spelled = names.partition(">")
            least, most = _arity(arity)
            found[name.lower()] = Function(
                spelled or name, least, most, result, aggregate=aggregate, window_only=window_only
            )
    return found


def _arity(text: str) -> tuple[int, int | None]:
    least, dash, most = text.partition("-")
    return int(least), (None if most == "*" else int(most)) if dash else int(least)


def _parametric() -> dict[str, Function]:
    found: dict[str, Function] = {}
    for name, (arguments, parameters, result) in _PARAMETRIC.items():
        least, most = _arity(arguments)
        few, many = _arity(parameters)
        found[name.lower()] = Function(
            name, least, most, result, aggregate=True, params=(few, many if many is not None else few)
        )
    return found


@cache
def _allowed() -> dict[str, Function]:
    return {
        **_entries(_SCALARS),
        **_entries(_AGGREGATES, aggregate=True),
        **_parametric(),
        **_entries(_WINDOW, window_only=True),
    }


def names() -> list[str]:
    """Every allowed name, in lower case and without combinators."""
    return sorted(_allowed())


def find(name: str) -> Function | None:
    """The allowed function of that name in any case, aggregates with up to three combinators included."""
    allowed = _allowed()
    if exact := allowed.get(name.lower()):
        return exact
    base, suffixes = name, list[str]()
    while len(suffixes) < 3 and (found := _SUFFIX.search(base)):  # noqa: PLR2004 - nobody needs four
        base = base[: found.start()]
        suffixes.insert(0, next(suffix for suffix in COMBINATORS if suffix.lower() == found.group().lower()))
        function = allowed.get(base.lower())
        if function is not None and function.aggregate:
            return _combined(function, suffixes)
    return None


def _combined(function: Function, suffixes: list[str]) -> Function:
    conditions = suffixes.count("If")
    result: Result = function.result
    if "ForEach" in suffixes:
        result = "Array"
    if "State" in suffixes:
        result = "State"
    merged = "Merge" in suffixes
    most = function.most
    return Function(
        function.name + "".join(suffixes),
        (1 if merged else function.least) + conditions,
        1 + conditions if merged else None if most is None else most + conditions,
        "Unknown" if "Array" in suffixes and result == "first" else result,
        aggregate=True,
        params=function.params,
    )


def result_kind(function: Function, kinds: list[Kind]) -> Kind:
    """The kind of a call's result, from the kinds of its arguments."""
    if function.result == "first":
        kind = kinds[0] if kinds else "Unknown"
    elif function.result == "last":
        kind = kinds[-1] if kinds else "Unknown"
    else:
        return function.result
    return "String" if kind == "JSON" else kind
