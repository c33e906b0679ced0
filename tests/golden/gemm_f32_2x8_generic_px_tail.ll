 void @"gemm_f32_2x8_generic_px_tail"(i64 %".1", i64 %".2", i64 %".3", i64 %".4", i64 %".5", i64 %".6", i64 %".7", i64 %".8", i64 %".9", i64 %".10", i64 %".11", i64 %".12", i64 %".13", i64 %".14", i64 %".15")
{
.17:
  %".18" = icmp slt i64 %".13", 4
  %".19" = select  i1 %".18", i64 %".13", i64 4
  %".20" = trunc i64 %".19" to i32
  %".21" = insertelement <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, i32 %".20", i32 0
  %".22" = shufflevector <4 x i32> %".21", <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".23" = icmp slt <4 x i32> <i32 0, i32 1, i32 2, i32 3>, %".22"
  %".24" = inttoptr i64 %".3" to i8*
  %".25" = inttoptr i64 %".2" to i8*
  %".26" = inttoptr i64 %".4" to i8*
  %".27" = inttoptr i64 %".6" to i8*
  call void @"llvm.prefetch.p0"(i8* %".27", i32 1, i32 3, i32 1)
  %".29" = getelementptr i8, i8* %".27", i64 16
  call void @"llvm.prefetch.p0"(i8* %".29", i32 1, i32 3, i32 1)
  %".31" = getelementptr i8, i8* %".27", i64 %".7"
  call void @"llvm.prefetch.p0"(i8* %".31", i32 1, i32 3, i32 1)
  %".33" = getelementptr i8, i8* %".31", i64 16
  call void @"llvm.prefetch.p0"(i8* %".33", i32 1, i32 3, i32 1)
  %".35" = getelementptr i8, i8* %".31", i64 %".7"
  %".36" = inttoptr i64 %".15" to i8*
  %".37" = ashr i64 %".1", 1
  %".38" = and i64 %".1", 1
  br label %"head"
head:
  %".40" = phi  i64 [0, %".17"], [%".96", %"body"]
  %".41" = phi  i8* [%".24", %".17"], [%".94", %"body"]
  %".42" = phi  i8* [%".26", %".17"], [%".95", %"body"]
  %".43" = phi  i8* [%".25", %".17"], [%".43", %"body"]
  %".44" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".88", %"body"]
  %".45" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".89", %"body"]
  %".46" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".92", %"body"]
  %".47" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".93", %"body"]
  %".48" = icmp slt i64 %".40", %".37"
  br i1 %".48", label %"body", label %"after"
body:
  %".50" = bitcast i8* %".41" to i64*
  %".51" = load i64, i64* %".50", align 8
  %".52" = getelementptr i8, i8* %".43", i64 %".51"
  %".53" = bitcast i8* %".52" to <4 x float>*
  %".54" = load <4 x float>, <4 x float>* %".53", align 4
  %".55" = getelementptr i8, i8* %".52", i64 16
  %".56" = bitcast i8* %".55" to <4 x float>*
  %".57" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".56", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".58" = bitcast i8* %".42" to float*
  %".59" = load float, float* %".58", align 4
  %".60" = getelementptr i8, i8* %".42", i64 4
  %".61" = bitcast i8* %".60" to float*
  %".62" = load float, float* %".61", align 4
  %".63" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".59", i32 0
  %".64" = shufflevector <4 x float> %".63", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".65" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".64", <4 x float> %".54", <4 x float> %".44")
  %".66" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".64", <4 x float> %".57", <4 x float> %".45")
  %".67" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".62", i32 0
  %".68" = shufflevector <4 x float> %".67", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".69" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".68", <4 x float> %".54", <4 x float> %".46")
  %".70" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".68", <4 x float> %".57", <4 x float> %".47")
  %".71" = getelementptr i8, i8* %".41", i64 8
  %".72" = getelementptr i8, i8* %".42", i64 8
  %".73" = bitcast i8* %".71" to i64*
  %".74" = load i64, i64* %".73", align 8
  %".75" = getelementptr i8, i8* %".43", i64 %".74"
  %".76" = bitcast i8* %".75" to <4 x float>*
  %".77" = load <4 x float>, <4 x float>* %".76", align 4
  %".78" = getelementptr i8, i8* %".75", i64 16
  %".79" = bitcast i8* %".78" to <4 x float>*
  %".80" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".79", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".81" = bitcast i8* %".72" to float*
  %".82" = load float, float* %".81", align 4
  %".83" = getelementptr i8, i8* %".72", i64 4
  %".84" = bitcast i8* %".83" to float*
  %".85" = load float, float* %".84", align 4
  %".86" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".82", i32 0
  %".87" = shufflevector <4 x float> %".86", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".88" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".87", <4 x float> %".77", <4 x float> %".65")
  %".89" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".87", <4 x float> %".80", <4 x float> %".66")
  %".90" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".85", i32 0
  %".91" = shufflevector <4 x float> %".90", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".92" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".91", <4 x float> %".77", <4 x float> %".69")
  %".93" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".91", <4 x float> %".80", <4 x float> %".70")
  %".94" = getelementptr i8, i8* %".71", i64 8
  %".95" = getelementptr i8, i8* %".72", i64 8
  %".96" = add i64 %".40", 1
  br label %"head"
after:
  br label %"head.1"
head.1:
  %".99" = phi  i64 [0, %"after"], [%".132", %"body.1"]
  %".100" = phi  i8* [%".41", %"after"], [%".130", %"body.1"]
  %".101" = phi  i8* [%".42", %"after"], [%".131", %"body.1"]
  %".102" = phi  i8* [%".43", %"after"], [%".102", %"body.1"]
  %".103" = phi  <4 x float> [%".44", %"after"], [%".124", %"body.1"]
  %".104" = phi  <4 x float> [%".45", %"after"], [%".125", %"body.1"]
  %".105" = phi  <4 x float> [%".46", %"after"], [%".128", %"body.1"]
  %".106" = phi  <4 x float> [%".47", %"after"], [%".129", %"body.1"]
  %".107" = icmp slt i64 %".99", %".38"
  br i1 %".107", label %"body.1", label %"after.1"
body.1:
  %".109" = bitcast i8* %".100" to i64*
  %".110" = load i64, i64* %".109", align 8
  %".111" = getelementptr i8, i8* %".102", i64 %".110"
  %".112" = bitcast i8* %".111" to <4 x float>*
  %".113" = load <4 x float>, <4 x float>* %".112", align 4
  %".114" = getelementptr i8, i8* %".111", i64 16
  %".115" = bitcast i8* %".114" to <4 x float>*
  %".116" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".115", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".117" = bitcast i8* %".101" to float*
  %".118" = load float, float* %".117", align 4
  %".119" = getelementptr i8, i8* %".101", i64 4
  %".120" = bitcast i8* %".119" to float*
  %".121" = load float, float* %".120", align 4
  %".122" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".118", i32 0
  %".123" = shufflevector <4 x float> %".122", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".124" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".123", <4 x float> %".113", <4 x float> %".103")
  %".125" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".123", <4 x float> %".116", <4 x float> %".104")
  %".126" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".121", i32 0
  %".127" = shufflevector <4 x float> %".126", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".128" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".127", <4 x float> %".113", <4 x float> %".105")
  %".129" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".127", <4 x float> %".116", <4 x float> %".106")
  %".130" = getelementptr i8, i8* %".100", i64 8
  %".131" = getelementptr i8, i8* %".101", i64 8
  %".132" = add i64 %".99", 1
  br label %"head.1"
after.1:
  %".134" = inttoptr i64 %".6" to i8*
  %".135" = icmp eq i64 %".8", 0
  br i1 %".135", label %"then", label %"after.2"
then:
  %".137" = bitcast i8* %".134" to <4 x float>*
  %".138" = load <4 x float>, <4 x float>* %".137", align 4
  %".139" = fadd <4 x float> %".103", %".138"
  %".140" = getelementptr i8, i8* %".134", i64 16
  %".141" = bitcast i8* %".140" to <4 x float>*
  %".142" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".141", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".143" = fadd <4 x float> %".104", %".142"
  %".144" = getelementptr i8, i8* %".134", i64 %".7"
  %".145" = bitcast i8* %".144" to <4 x float>*
  %".146" = load <4 x float>, <4 x float>* %".145", align 4
  %".147" = fadd <4 x float> %".105", %".146"
  %".148" = getelementptr i8, i8* %".144", i64 16
  %".149" = bitcast i8* %".148" to <4 x float>*
  %".150" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".149", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".151" = fadd <4 x float> %".106", %".150"
  %".152" = getelementptr i8, i8* %".144", i64 %".7"
  br label %"after.2"
after.2:
  %".154" = phi  <4 x float> [%".103", %"after.1"], [%".139", %"then"]
  %".155" = phi  <4 x float> [%".104", %"after.1"], [%".143", %"then"]
  %".156" = phi  <4 x float> [%".105", %"after.1"], [%".147", %"then"]
  %".157" = phi  <4 x float> [%".106", %"after.1"], [%".151", %"then"]
  %".158" = icmp ne i64 %".9", 0
  br i1 %".158", label %"then.1", label %"after.3"
then.1:
  %".160" = inttoptr i64 %".9" to i8*
  %".161" = bitcast i8* %".160" to float*
  %".162" = load float, float* %".161", align 4
  %".163" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".162", i32 0
  %".164" = shufflevector <4 x float> %".163", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".165" = getelementptr i8, i8* %".160", i64 4
  %".166" = bitcast i8* %".165" to float*
  %".167" = load float, float* %".166", align 4
  %".168" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".167", i32 0
  %".169" = shufflevector <4 x float> %".168", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".170" = fadd <4 x float> %".154", %".164"
  %".171" = fadd <4 x float> %".155", %".164"
  %".172" = fadd <4 x float> %".156", %".169"
  %".173" = fadd <4 x float> %".157", %".169"
  br label %"after.3"
after.3:
  %".175" = phi  <4 x float> [%".154", %"after.2"], [%".170", %"then.1"]
  %".176" = phi  <4 x float> [%".155", %"after.2"], [%".171", %"then.1"]
  %".177" = phi  <4 x float> [%".156", %"after.2"], [%".172", %"then.1"]
  %".178" = phi  <4 x float> [%".157", %"after.2"], [%".173", %"then.1"]
  %".179" = icmp ne i64 %".10", 0
  %".180" = inttoptr i64 %".10" to i8*
  br i1 %".179", label %"then.2", label %"after.4"
then.2:
  %".182" = bitcast i8* %".180" to <4 x float>*
  %".183" = load <4 x float>, <4 x float>* %".182", align 4
  %".184" = fadd <4 x float> %".175", %".183"
  %".185" = getelementptr i8, i8* %".180", i64 16
  %".186" = bitcast i8* %".185" to <4 x float>*
  %".187" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".186", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".188" = fadd <4 x float> %".176", %".187"
  %".189" = getelementptr i8, i8* %".180", i64 %".11"
  %".190" = bitcast i8* %".189" to <4 x float>*
  %".191" = load <4 x float>, <4 x float>* %".190", align 4
  %".192" = fadd <4 x float> %".177", %".191"
  %".193" = getelementptr i8, i8* %".189", i64 16
  %".194" = bitcast i8* %".193" to <4 x float>*
  %".195" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".194", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".196" = fadd <4 x float> %".178", %".195"
  %".197" = getelementptr i8, i8* %".189", i64 %".11"
  br label %"after.4"
after.4:
  %".199" = phi  <4 x float> [%".175", %"after.3"], [%".184", %"then.2"]
  %".200" = phi  <4 x float> [%".176", %"after.3"], [%".188", %"then.2"]
  %".201" = phi  <4 x float> [%".177", %"after.3"], [%".192", %"then.2"]
  %".202" = phi  <4 x float> [%".178", %"after.3"], [%".196", %"then.2"]
  %".203" = icmp eq i64 %".12", 1
  br i1 %".203", label %"then.3", label %"after.5"
then.3:
  %".205" = fcmp olt <4 x float> %".199", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".206" = select  <4 x i1> %".205", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".199"
  %".207" = fcmp olt <4 x float> %".200", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".208" = select  <4 x i1> %".207", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".200"
  %".209" = fcmp olt <4 x float> %".201", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".210" = select  <4 x i1> %".209", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".201"
  %".211" = fcmp olt <4 x float> %".202", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".212" = select  <4 x i1> %".211", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".202"
  br label %"after.5"
after.5:
  %".214" = phi  <4 x float> [%".199", %"after.4"], [%".206", %"then.3"]
  %".215" = phi  <4 x float> [%".200", %"after.4"], [%".208", %"then.3"]
  %".216" = phi  <4 x float> [%".201", %"after.4"], [%".210", %"then.3"]
  %".217" = phi  <4 x float> [%".202", %"after.4"], [%".212", %"then.3"]
  %".218" = icmp eq i64 %".12", 2
  br i1 %".218", label %"then.4", label %"after.6"
then.4:
  %".220" = fcmp olt <4 x float> %".214", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".221" = select  <4 x i1> %".220", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".214"
  %".222" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".214"
  %".223" = select  <4 x i1> %".222", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".221"
  %".224" = fcmp olt <4 x float> %".215", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".225" = select  <4 x i1> %".224", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".215"
  %".226" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".215"
  %".227" = select  <4 x i1> %".226", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".225"
  %".228" = fcmp olt <4 x float> %".216", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".229" = select  <4 x i1> %".228", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".216"
  %".230" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".216"
  %".231" = select  <4 x i1> %".230", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".229"
  %".232" = fcmp olt <4 x float> %".217", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".233" = select  <4 x i1> %".232", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".217"
  %".234" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".217"
  %".235" = select  <4 x i1> %".234", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".233"
  br label %"after.6"
after.6:
  %".237" = phi  <4 x float> [%".214", %"after.5"], [%".223", %"then.4"]
  %".238" = phi  <4 x float> [%".215", %"after.5"], [%".227", %"then.4"]
  %".239" = phi  <4 x float> [%".216", %"after.5"], [%".231", %"then.4"]
  %".240" = phi  <4 x float> [%".217", %"after.5"], [%".235", %"then.4"]
  %".241" = icmp sgt i64 %".12", 2
  br i1 %".241", label %"then.5", label %"after.7"
then.5:
  %".243" = inttoptr i64 %".12" to i8*
  %".244" = bitcast i8* %".243" to float*
  %".245" = load float, float* %".244", align 4
  %".246" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".245", i32 0
  %".247" = shufflevector <4 x float> %".246", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".248" = fmul <4 x float> %".237", %".247"
  %".249" = fcmp olt <4 x float> %".237", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".250" = select  <4 x i1> %".249", <4 x float> %".248", <4 x float> %".237"
  %".251" = inttoptr i64 %".12" to i8*
  %".252" = bitcast i8* %".251" to float*
  %".253" = load float, float* %".252", align 4
  %".254" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".253", i32 0
  %".255" = shufflevector <4 x float> %".254", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".256" = fmul <4 x float> %".238", %".255"
  %".257" = fcmp olt <4 x float> %".238", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".258" = select  <4 x i1> %".257", <4 x float> %".256", <4 x float> %".238"
  %".259" = inttoptr i64 %".12" to i8*
  %".260" = bitcast i8* %".259" to float*
  %".261" = load float, float* %".260", align 4
  %".262" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".261", i32 0
  %".263" = shufflevector <4 x float> %".262", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".264" = fmul <4 x float> %".239", %".263"
  %".265" = fcmp olt <4 x float> %".239", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".266" = select  <4 x i1> %".265", <4 x float> %".264", <4 x float> %".239"
  %".267" = inttoptr i64 %".12" to i8*
  %".268" = bitcast i8* %".267" to float*
  %".269" = load float, float* %".268", align 4
  %".270" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".269", i32 0
  %".271" = shufflevector <4 x float> %".270", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".272" = fmul <4 x float> %".240", %".271"
  %".273" = fcmp olt <4 x float> %".240", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".274" = select  <4 x i1> %".273", <4 x float> %".272", <4 x float> %".240"
  br label %"after.7"
after.7:
  %".276" = phi  <4 x float> [%".237", %"after.6"], [%".250", %"then.5"]
  %".277" = phi  <4 x float> [%".238", %"after.6"], [%".258", %"then.5"]
  %".278" = phi  <4 x float> [%".239", %"after.6"], [%".266", %"then.5"]
  %".279" = phi  <4 x float> [%".240", %"after.6"], [%".274", %"then.5"]
  %".280" = bitcast i8* %".134" to <4 x float>*
  store <4 x float> %".276", <4 x float>* %".280", align 4
  %".282" = getelementptr i8, i8* %".134", i64 16
  %".283" = bitcast i8* %".282" to <4 x float>*
  %".284" = bitcast <4 x i1> %".23" to i4
  %".285" = icmp eq i4 %".284", 15
  br i1 %".285", label %"after.7.if", label %"after.7.else", !prof !0
after.7.if:
  %".287" = bitcast i8* %".282" to <4 x float>*
  store <4 x float> %".277", <4 x float>* %".287", align 4
  br label %"after.7.endif"
after.7.else:
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".277", <4 x float>* %".283", i32 4, <4 x i1> %".23")
  br label %"after.7.endif"
after.7.endif:
  %".292" = getelementptr i8, i8* %".134", i64 %".7"
  %".293" = bitcast i8* %".292" to <4 x float>*
  store <4 x float> %".278", <4 x float>* %".293", align 4
  %".295" = getelementptr i8, i8* %".292", i64 16
  %".296" = bitcast i8* %".295" to <4 x float>*
  %".297" = bitcast <4 x i1> %".23" to i4
  %".298" = icmp eq i4 %".297", 15
  br i1 %".298", label %"after.7.endif.if", label %"after.7.endif.else", !prof !0
after.7.endif.if:
  %".300" = bitcast i8* %".295" to <4 x float>*
  store <4 x float> %".279", <4 x float>* %".300", align 4
  br label %"after.7.endif.endif"
after.7.endif.else:
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".279", <4 x float>* %".296", i32 4, <4 x i1> %".23")
  br label %"after.7.endif.endif"
after.7.endif.endif:
  %".305" = getelementptr i8, i8* %".292", i64 %".7"
  ret void
}

declare void @"llvm.prefetch.p0"(i8* %".1", i32 %".2", i32 %".3", i32 %".4")

declare <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".1", i32 %".2", <4 x i1> %".3", <4 x float> %".4")

declare <4 x float> @"llvm.fma.v4f32"(<4 x float> %".1", <4 x float> %".2", <4 x float> %".3")

declare void @"llvm.masked.store.v4f32.p0"(<4 x float> %".1", <4 x float>* %".2", i32 %".3", <4 x i1> %".4")

!0 = !{ !"branch_weights", i32 99, i32 1 }